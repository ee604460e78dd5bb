/** Stands in for a mail service: prints, and remembers what it sent. */
export interface Nudge {
  readonly email: string;
  readonly userId: string;
}

export const sentNudges: Nudge[] = [];

export async function sendNudge({ email, userId }: Nudge): Promise<void> {
  sentNudges.push({ email, userId });
  console.log(`mail to ${email}: ${userId}, you are almost there`);
}
