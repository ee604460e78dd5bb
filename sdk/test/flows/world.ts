/** What the two flows talk to, remembered. */
export const seen: unknown[] = [];

export async function sendCartReminderEmail(mail: { email: string; cart: string }): Promise<void> {
  seen.push(["mail", mail.email, mail.cart]);
}
export const llm = {
  generate: async ({ prompt, model }: { prompt: string; model: string }) => ({ text: `draft of ${prompt}`, model }),
};
export const baseUrl = "http://cms";
export async function notifyReviewer(what: { contentId: string; draft: string; reviewUrl: string }): Promise<void> {
  seen.push(["review", what.contentId, what.draft, what.reviewUrl]);
}
export const cms = {
  publish: async (id: string, text: string): Promise<void> => void seen.push(["published", id, text]),
  archive: async (id: string, { reason }: { reason: string }): Promise<void> =>
    void seen.push(["archived", id, reason]),
};
