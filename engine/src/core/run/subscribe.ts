import { LIMITS } from "@eddy/schemas";
import { engineError, type Draft } from "../draft.js";
import { subscriptionKey } from "../state/keys.js";
import { endRun } from "./end.js";

interface Wanted {
  readonly purpose: "wait" | "cancel";
  readonly routeKey: string;
  readonly expiresAtMs: number | null;
}

/** @returns false if the key had no room left: then the run has failed and is gone. */
export function openSubscription(draft: Draft, runId: string, { purpose, routeKey, expiresAtMs }: Wanted): boolean {
  const head = draft.get(subscriptionKey(routeKey, 0));
  if (head !== null && head.total >= LIMITS.subscriptionsPerKeyMax) {
    const message = `more than ${LIMITS.subscriptionsPerKeyMax} runs listen for the same event with the same value`;
    endRun(draft, draft.run(runId), { kind: "failed", error: engineError("TooManySubscriptionsError", message) });
    return false;
  }
  draft.emit({ kind: "SubscriptionOpened", runId, purpose, routeKey, expiresAtMs });
  return true;
}
