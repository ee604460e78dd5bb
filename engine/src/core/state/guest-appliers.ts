/** Facts about a run of another partition that listens here: its row. */
import type { GuestRow, Rule, Subscription } from "@eddy/schemas";
import { invariant } from "@eddy/clients/errors";
import type { Applier } from "../evolve.js";
import { guestKey } from "./keys.js";
import type { Row, RowWriter } from "./view.js";

type GuestChange =
  | "GuestArrived"
  | "GuestHeard"
  | "GuestRenewed"
  | "GuestTold"
  | "GuestWaitOpened"
  | "GuestWaitClosed"
  | "GuestWaitPostponed"
  | "GuestTook"
  | "GuestLeft";

/** Replaces parts of the row of a guest that is here. */
export function updateGuest(rows: RowWriter, base: string, update: (guest: Row<"guest">) => Partial<GuestRow>): void {
  const key = guestKey(base);
  const guest = rows.get(key);
  invariant(guest !== null, "a change names a guest that is here", { base });
  rows.put(key, { ...guest, ...update(guest) });
}

function withRules(subscription: Subscription, more: readonly Rule[] | undefined, nowMs: number): Subscription {
  if (more === undefined || subscription.purpose !== "cancel") return subscription;
  const known = subscription.rules.filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > nowMs);
  const isNew = (rule: Rule): boolean => !known.some((k) => k.if === rule.if && k.expiresAtMs === rule.expiresAtMs);
  return { ...subscription, rules: [...known, ...more.filter(isNew)] };
}

export const guestAppliers: { readonly [K in GuestChange]: Applier<K> } = {
  GuestArrived: (rows, { guest }) => {
    rows.put(guestKey(guest.base), guest);
  },
  GuestHeard: (rows, { base, at, rules, nowMs }) => {
    updateGuest(rows, base, ({ subscriptions }) => ({
      heardAt: at,
      subscriptions: subscriptions.map((s) => withRules(s, rules.get(s.routeKey), nowMs)),
    }));
  },
  GuestRenewed: (rows, { base }) => {
    updateGuest(rows, base, ({ heardAt }) => ({ runId: null, taken: [], waits: [], fromOffset: heardAt }));
  },
  GuestTold: (rows, { base, runId, taken, keepFromMs }) => {
    updateGuest(rows, base, (guest) => ({
      runId,
      // The run is the judge: what it was given and does not name it has given back, or will ask again for.
      taken: [...taken],
      keepFromMs: Math.max(guest.keepFromMs, keepFromMs),
    }));
  },
  GuestWaitOpened: (rows, { base, wait }) => {
    updateGuest(rows, base, ({ waits }) => ({ waits: [...waits, wait] }));
  },
  GuestWaitClosed: (rows, { base, no }) => {
    updateGuest(rows, base, ({ waits }) => ({ waits: waits.filter((wait) => wait.no !== no) }));
  },
  GuestWaitPostponed: (rows, { base, no, dueAtMs }) => {
    updateGuest(rows, base, ({ waits }) => ({
      waits: waits.map((wait) => (wait.no === no ? { ...wait, dueAtMs } : wait)),
    }));
  },
  GuestTook: (rows, { base, eventId }) => {
    updateGuest(rows, base, ({ taken }) => ({ taken: [...taken, eventId] }));
  },
  GuestLeft: (rows, { base }) => {
    invariant(rows.get(guestKey(base))?.subscriptions.length === 0, "a guest closes its subscriptions first", { base });
    rows.delete(guestKey(base));
  },
};
