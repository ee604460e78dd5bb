/** Stands in for a chat service: prints, and remembers what it posted. */
export interface Reminder {
  readonly owner: string;
  readonly leadId: string;
}

export const postedReminders: Reminder[] = [];

export async function remindOwner({ owner, leadId }: Reminder): Promise<void> {
  postedReminders.push({ owner, leadId });
  console.log(`to ${owner}: nobody has talked to lead ${leadId} for a week`);
}
