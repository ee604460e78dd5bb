/** Who listens at a key: runs of this partition, and runs of others (guests). What both have in common. */
import {
  baseOfRun,
  BROKER_SKEW_MS,
  partitionOfShard,
  shardOfRun,
  type GuestRow,
  type PendingItem,
  type Rule,
  type Since,
  type Subscription,
} from "@eddy/schemas";
import type { Listener } from "../changes.js";
import { isExecuting } from "../run/lifecycle.js";
import type { Moment } from "../inputs.js";
import { guestKey, runKey, type RowKey } from "../state/keys.js";
import type { Row, RowView } from "../state/view.js";

/** Events after `offset` and not before `atMs` are eligible. */
export interface Beginning {
  readonly offset: number;
  readonly atMs: number;
}

/** An event that is asked whether somebody may have it. */
export interface Heard {
  readonly name: string;
  readonly offset: number;
  readonly eventId: string;
  readonly atMs: number;
}

export type LocalWait = Extract<PendingItem, { kind: "wait" }>;
export type GuestWait = GuestRow["waits"][number];

type Common = Listener & {
  readonly trigger: { readonly id: string; readonly name: string };
  readonly taken: readonly string[];
  readonly startedAtMs: number;
  /** Of its trigger in this partition's log; -1: the time alone tells. */
  readonly beganOffset: number;
  readonly subscriptions: readonly Subscription[];
};
export type LiveListener = Common &
  (
    | { readonly of: "run"; readonly run: Row<"run">; readonly waits: readonly LocalWait[] }
    | { readonly of: "guest"; readonly guest: Row<"guest">; readonly waits: readonly GuestWait[] }
  );

/** Runs whose base has its shard here are this partition's own. */
export function listenerKey(base: string, { partition, partitions }: Moment): RowKey<"run"> | RowKey<"guest"> {
  return isOwn(base, partition, partitions) ? runKey(base) : guestKey(base);
}

function isOwn(base: string, partition: number, partitions: number): boolean {
  return partitionOfShard(shardOfRun(base), partitions) === partition;
}

const NONE: readonly string[] = [];

export function runListener(run: Row<"run">): LiveListener {
  return {
    of: "run",
    base: baseOfRun(run.runId),
    run,
    trigger: run.event,
    taken: run.taken.length === 0 ? NONE : run.taken.map(([eventId]) => eventId),
    startedAtMs: run.startedAtMs,
    beganOffset: run.beganOffset,
    subscriptions: run.subscriptions,
    waits: run.pending.filter((item) => item.kind === "wait"),
  };
}

export function guestListener(guest: Row<"guest">): LiveListener {
  const { base, trigger, taken, startedAtMs, fromOffset: beganOffset, subscriptions, waits } = guest;
  return { of: "guest", base, guest, trigger, taken, startedAtMs, beganOffset, subscriptions, waits };
}

/** @returns null where it is gone already: ended by another key of the same event. */
export function listenerAt(rows: Pick<RowView, "get">, base: string, moment: Moment): LiveListener | null {
  if (isOwn(base, moment.partition, moment.partitions)) {
    const run = rows.get(runKey(base));
    return run === null ? null : runListener(run);
  }
  const guest = rows.get(guestKey(base));
  return guest === null ? null : guestListener(guest);
}

/**
 * From where on events may matter to a wait that the listener may still make at this key; null: it makes none.
 * @param mayComeLate may the wait yet get an event that stands further back in the log? Then those behind that are for the
 *   next wait
 */
export function keepsFrom(
  listener: LiveListener,
  routeKey: string,
  mayComeLate: (wait: LocalWait) => boolean,
): Beginning | null {
  const subscription = listener.subscriptions.find((s) => s.purpose === "wait" && s.routeKey === routeKey);
  if (subscription === undefined) return null;
  if (listener.of === "run") {
    const { run } = listener;
    if (subscription.fromTrigger) return triggerOf(run);
    const isOpen = run.pending.some((item) => item.kind === "foreignWait") || listener.waits.some(mayComeLate);
    if (!isExecuting(run) && !isOpen) return null;
    return beginningOf(run.mark);
  }
  const { fromOffset, keepFromMs } = listener.guest;
  return { offset: fromOffset, atMs: subscription.fromTrigger ? -Infinity : keepFromMs };
}

/** Brokers' clocks differ: where a mark was set by another partition's event, its time is taken with a grain of salt. */
export function beginningOf({ offset, atMs }: { readonly offset: number; readonly atMs: number }): Beginning {
  return { offset, atMs: atMs - BROKER_SKEW_MS };
}

export function triggerOf({ beganOffset, startedAtMs }: Row<"run">): Beginning {
  return beginningOf({ offset: beganOffset, atMs: startedAtMs });
}

/** No sleep or wait of the run has ended. */
export function isMarkAtTrigger({ mark, beganOffset, startedAtMs }: Row<"run">): boolean {
  return mark.offset === beganOffset && mark.atMs === startedAtMs;
}

export function isEligible({ offset, atMs }: Beginning, listener: LiveListener, event: Heard): boolean {
  return event.offset > offset && event.atMs >= atMs && !hasHad(listener, event);
}

/** Its trigger, or an event that a wait of its took. Ids are the senders': two events of different names may share one. */
export function hasHad(listener: LiveListener, event: Pick<Heard, "name" | "eventId">): boolean {
  return isTriggerOf(listener, event) || listener.taken.includes(event.eventId);
}

export function isTriggerOf({ trigger }: LiveListener, { name, eventId }: Pick<Heard, "name" | "eventId">): boolean {
  return trigger.id === eventId && trigger.name === name;
}

/** From where on events count for a wait that the run asks for now. */
export function beginningFor(run: Row<"run">, from: Since, { offset, nowMs }: Moment): Beginning {
  switch (from) {
    case "mark":
      return beginningOf(run.mark);
    case "trigger":
      return triggerOf(run);
    case "registration":
      return { offset, atMs: nowMs };
  }
}

/** The trigger's part that a rule or wait of the listener may read. */
export function triggerFor(listener: LiveListener, given: Uint8Array | null): Uint8Array | null {
  return listener.of === "run" ? listener.run.event.payload : given;
}

/** Is one of the rules still in force at this time? */
export function livesAt({ expiresAtMs }: Rule, atMs: number): boolean {
  return expiresAtMs === null || atMs < expiresAtMs;
}
