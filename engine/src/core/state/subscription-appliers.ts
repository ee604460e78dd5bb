/**
 * Facts about who listens at a route key, and which events are kept there. New entries go to the tail chunk; an emptied
 * tail chunk gives way to the one before it; the head goes with the last entry, and all kept events with it.
 */
import { LIMITS } from "@eddy/schemas";
import { invariant } from "@eddy/clients/errors";
import type { Applier } from "../evolve.js";
import { keptEventKey, subscriptionKey } from "./keys.js";
import { updateRun } from "./run-appliers.js";
import type { Row, RowWriter } from "./view.js";

type SubscriptionChange = "SubscriptionOpened" | "SubscriptionClosed" | "EventKept" | "KeptEventsTrimmed";
type Subscription = Row<"subscription">;

const EMPTY: Subscription = { entries: [], total: 0, tail: 0, kept: [] };

function headOf(rows: RowWriter, routeKey: string): Subscription {
  const head = rows.get(subscriptionKey(routeKey, 0));
  invariant(head !== null, "a route key with entries has a head", { routeKey });
  return head;
}

export const subscriptionAppliers: { readonly [K in SubscriptionChange]: Applier<K> } = {
  SubscriptionOpened: (rows, { runId, purpose, routeKey, expiresAtMs }) => {
    const head = rows.get(subscriptionKey(routeKey, 0)) ?? EMPTY;
    const tailRow = head.tail === 0 ? head : (rows.get(subscriptionKey(routeKey, head.tail)) ?? EMPTY);
    const full = tailRow.entries.length >= LIMITS.subscriptionsPerChunkMax;
    const chunk = full ? head.tail + 1 : head.tail;
    const entry = { runId, purpose };
    const grown = { ...head, total: head.total + 1, tail: chunk };
    if (chunk === 0) {
      rows.put(subscriptionKey(routeKey, 0), { ...grown, entries: [...head.entries, entry] });
    } else {
      rows.put(subscriptionKey(routeKey, 0), grown);
      const before = full ? EMPTY : tailRow;
      rows.put(subscriptionKey(routeKey, chunk), { ...before, entries: [...before.entries, entry] });
    }
    updateRun(rows, runId, ({ subscriptions }) => ({
      subscriptions: [...subscriptions, { purpose, routeKey, chunk, expiresAtMs }],
    }));
  },

  SubscriptionClosed: (rows, { runId, purpose, routeKey }) => {
    let chunk = -1;
    updateRun(rows, runId, ({ subscriptions }) => {
      const at = subscriptions.findIndex((s) => s.purpose === purpose && s.routeKey === routeKey);
      invariant(at >= 0, "only an open subscription is closed", { runId, routeKey });
      chunk = subscriptions[at]?.chunk ?? -1;
      return { subscriptions: subscriptions.filter((_, i) => i !== at) };
    });
    const without = (row: Subscription): Subscription["entries"] =>
      row.entries.filter((e) => e.runId !== runId || e.purpose !== purpose);
    const head = headOf(rows, routeKey);
    const shrunk = { ...head, total: head.total - 1 };
    if (chunk === 0) {
      putHead(rows, routeKey, { ...shrunk, entries: without(head) });
      return;
    }
    const key = subscriptionKey(routeKey, chunk);
    const row = rows.get(key);
    invariant(row !== null, "a subscription stands in the chunk that its run names", { runId, routeKey, chunk });
    const entries = without(row);
    if (entries.length > 0) rows.put(key, { ...row, entries });
    else rows.delete(key);
    putHead(rows, routeKey, { ...shrunk, tail: entries.length === 0 && chunk === head.tail ? chunk - 1 : head.tail });
  },

  EventKept: (rows, { routeKey, offset, event }) => {
    const head = headOf(rows, routeKey);
    const kept = [...head.kept, { offset, eventId: event.eventId, bytes: event.payload.length }];
    rows.put(subscriptionKey(routeKey, 0), { ...head, kept });
    rows.put(keptEventKey(routeKey, offset), event);
  },

  KeptEventsTrimmed: (rows, { routeKey, upToOffset }) => {
    const head = headOf(rows, routeKey);
    const kept = head.kept.filter((event) => event.offset > upToOffset);
    for (const event of head.kept) if (event.offset <= upToOffset) rows.delete(keptEventKey(routeKey, event.offset));
    rows.put(subscriptionKey(routeKey, 0), { ...head, kept });
  },
};

function putHead(rows: RowWriter, routeKey: string, head: Subscription): void {
  if (head.total > 0) {
    rows.put(subscriptionKey(routeKey, 0), head);
    return;
  }
  for (const event of head.kept) rows.delete(keptEventKey(routeKey, event.offset));
  rows.delete(subscriptionKey(routeKey, 0));
}
