/**
 * Facts about who listens at a route key, and which events are kept there. New entries go to the tail chunk; an emptied
 * tail chunk gives way to the one before it; the head goes with the last entry, and all kept events with it.
 */
import { LIMITS, type Subscription } from "@eddy/schemas";
import { invariant } from "@eddy/clients/errors";
import type { Listener } from "../changes.js";
import type { Applier } from "../evolve.js";
import { updateGuest } from "./guest-appliers.js";
import { keptEventKey, subscriptionKey } from "./keys.js";
import { updateRun } from "./run-appliers.js";
import type { Row, RowWriter } from "./view.js";

type SubscriptionChange = "SubscriptionOpened" | "SubscriptionClosed" | "EventKept" | "KeptEventsTrimmed";
type Chunk = Row<"subscription">;

const EMPTY: Chunk = { entries: [], total: 0, tail: 0, kept: [], lost: null };

function headOf(rows: RowWriter, routeKey: string): Chunk {
  const head = rows.get(subscriptionKey(routeKey, 0));
  invariant(head !== null, "a route key with entries has a head", { routeKey });
  return head;
}

export const subscriptionAppliers: { readonly [K in SubscriptionChange]: Applier<K> } = {
  SubscriptionOpened: (rows, { listener, purpose, routeKey, rules, fromTrigger }) => {
    const head = rows.get(subscriptionKey(routeKey, 0)) ?? EMPTY;
    const tailRow = head.tail === 0 ? head : (rows.get(subscriptionKey(routeKey, head.tail)) ?? EMPTY);
    const full = tailRow.entries.length >= LIMITS.subscriptionsPerChunkMax;
    const chunk = full ? head.tail + 1 : head.tail;
    const entry = { base: listener.base, purpose };
    const grown = { ...head, total: head.total + 1, tail: chunk };
    if (chunk === 0) {
      rows.put(subscriptionKey(routeKey, 0), { ...grown, entries: [...head.entries, entry] });
    } else {
      rows.put(subscriptionKey(routeKey, 0), grown);
      const before = full ? EMPTY : tailRow;
      rows.put(subscriptionKey(routeKey, chunk), { ...before, entries: [...before.entries, entry] });
    }
    const opened = { purpose, routeKey, chunk, rules: [...rules], fromTrigger };
    updateListener(rows, listener, (subscriptions) => [...subscriptions, opened]);
  },

  SubscriptionClosed: (rows, { listener, purpose, routeKey }) => {
    let chunk = -1;
    updateListener(rows, listener, (subscriptions) => {
      const at = subscriptions.findIndex((s) => s.purpose === purpose && s.routeKey === routeKey);
      invariant(at >= 0, "only an open subscription is closed", { base: listener.base, routeKey });
      chunk = subscriptions[at]?.chunk ?? -1;
      return subscriptions.filter((_, i) => i !== at);
    });
    const without = (row: Chunk): Chunk["entries"] =>
      row.entries.filter((e) => e.base !== listener.base || e.purpose !== purpose);
    const head = headOf(rows, routeKey);
    const shrunk = { ...head, total: head.total - 1 };
    if (chunk === 0) {
      putHead(rows, routeKey, { ...shrunk, entries: without(head) });
      return;
    }
    const key = subscriptionKey(routeKey, chunk);
    const row = rows.get(key);
    invariant(row !== null, "a subscription stands in the chunk that its listener names", { routeKey, chunk });
    const entries = without(row);
    if (entries.length > 0) rows.put(key, { ...row, entries });
    else rows.delete(key);
    putHead(rows, routeKey, { ...shrunk, tail: entries.length === 0 && chunk === head.tail ? chunk - 1 : head.tail });
  },

  EventKept: (rows, { routeKey, offset, event }) => {
    const head = headOf(rows, routeKey);
    const { eventId, atMs, payload } = event;
    const entry = { offset, eventId, atMs, bytes: payload.length };
    const last = head.kept.at(-1);
    const kept = [...head.kept, entry];
    if (last !== undefined && last.offset > offset) kept.sort((a, b) => a.offset - b.offset);
    rows.put(subscriptionKey(routeKey, 0), { ...head, kept });
    rows.put(keptEventKey(routeKey, offset), event);
  },

  KeptEventsTrimmed: (rows, { routeKey, count, lost }) => {
    const head = headOf(rows, routeKey);
    const gone = head.kept.slice(0, count);
    for (const { offset } of gone) rows.delete(keptEventKey(routeKey, offset));
    const last = gone.at(-1);
    const atMs = gone.reduce((max, event) => Math.max(max, event.atMs), 0);
    const mark = lost && last !== undefined ? { offset: last.offset, atMs } : head.lost;
    rows.put(subscriptionKey(routeKey, 0), { ...head, kept: head.kept.slice(count), lost: mark });
  },
};

function updateListener(
  rows: RowWriter,
  { of, base }: Listener,
  update: (subscriptions: readonly Subscription[]) => Subscription[],
): void {
  if (of === "run") updateRun(rows, base, ({ subscriptions }) => ({ subscriptions: update(subscriptions) }));
  else updateGuest(rows, base, ({ subscriptions }) => ({ subscriptions: update(subscriptions) }));
}

function putHead(rows: RowWriter, routeKey: string, head: Chunk): void {
  if (head.total > 0) {
    rows.put(subscriptionKey(routeKey, 0), head);
    return;
  }
  for (const event of head.kept) rows.delete(keptEventKey(routeKey, event.offset));
  rows.delete(subscriptionKey(routeKey, 0));
}
