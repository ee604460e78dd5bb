import type { Eddy, EddyFunction } from "@eddy/sdk";
import type { Entry, Ledger } from "./ledger.js";

export const APP = "shop";

/** Of the step by which a run tells another function of itself, and of the only event that it sends. */
const TELL = "tell";
export const toldIdOf = (runId: string): string => `${runId}/${TELL}/0`;

/**
 * A step, an event to another function, a wait for a purchase, and a reminder where there was none; it writes down what
 * it does.
 * @param timeout of the wait
 * @param stepMs how long a step takes, in ms of real time: what is killed should be at work
 */
export function shopFunctions(client: Eddy, ledger: Ledger, timeout: string, stepMs = 0): readonly EddyFunction[] {
  const notices = client.createFunction(
    { id: "notices", triggers: [{ event: "looked-up" }] },
    ({ event }) => event.data.n,
  );
  return [shopFlow(client, ledger, timeout, stepMs), notices];
}

function shopFlow(client: Eddy, ledger: Ledger, timeout: string, stepMs: number): EddyFunction {
  return client.createFunction({ id: "flow", triggers: [{ event: "added" }] }, async ({ event, step, runId }) => {
    const write = (what: Entry["what"], stepId: string): void =>
      ledger.write({ what, runId, stepId, n: event.data.n as number, atMs: Date.now() });
    const once = async (stepId: string): Promise<void> => {
      await step.run(stepId, async () => {
        write("began", stepId);
        if (stepMs > 0) await new Promise((resolve) => setTimeout(resolve, stepMs));
      });
      write("recorded", stepId);
    };
    await once("look-up");
    await step.sendEvent(TELL, { name: "looked-up", data: { n: event.data.n } });
    const bought = await step.waitForEvent("bought", { event: "bought", match: "data.n", timeout });
    if (bought !== null) return "bought";
    await once("remind");
    return "reminded";
  });
}
