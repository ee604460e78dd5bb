/** Stands in for a mail service: prints, and remembers what it sent. */
export interface CartReminder {
  readonly email: string;
  readonly cart: string;
}

export const sentReminders: CartReminder[] = [];

export async function sendCartReminderEmail({ email, cart }: CartReminder): Promise<void> {
  sentReminders.push({ email, cart });
  console.log(`mail to ${email}: your cart ${cart} is still waiting for you`);
}
