import { baseOfRun, LIMITS, type ErrorShape, type Rule, type Subscription } from "@eddy/schemas";
import type { Listener } from "../changes.js";
import { engineError, type Draft } from "../draft.js";
import { subscriptionKey } from "../state/keys.js";

interface Wanted {
  readonly purpose: Subscription["purpose"];
  readonly routeKey: string;
  readonly rules: readonly Rule[];
  readonly fromTrigger: boolean;
}

/** @param listener `base` may be a run's id. @returns why it cannot listen there: the key has no room left. Null: it does. */
export function openSubscription(draft: Draft, listener: Listener, wanted: Wanted): ErrorShape | null {
  const head = draft.get(subscriptionKey(wanted.routeKey, 0));
  if (head !== null && head.total >= LIMITS.subscriptionsPerKeyMax) {
    const message = `more than ${LIMITS.subscriptionsPerKeyMax} runs listen for the same event with the same value`;
    return engineError("TooManySubscriptionsError", message);
  }
  draft.emit({ kind: "SubscriptionOpened", listener: { of: listener.of, base: baseOfRun(listener.base) }, ...wanted });
  return null;
}
