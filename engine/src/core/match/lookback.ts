/**
 * Lookback (G9): events that a run may still wait for are kept, from its mark on: while it executes, waits for an event of
 * another partition, or by a route that is not settled; for guests as long as they are here. Waits that are open take
 * events directly.
 *
 * Kept events of a key are bounded. The oldest give way; a wait that would need one of those fails its run, loudly.
 */
import {
  canonAt,
  ID_PATH,
  ID_WINDOW_MS,
  LIMITS,
  PAST_MS_MAX,
  type ErrorShape,
  type InboxRecordOf,
  type KeptEventRow,
  type Rule,
} from "@eddy/schemas";
import { engineError, partitionRowOf, type Draft } from "../draft.js";
import type { Moment } from "../inputs.js";
import { keptEventKey, subscriptionKey } from "../state/keys.js";
import type { PastEvent, PastRange, Row, RowView } from "../state/view.js";
import { isMet, type Asked } from "./condition.js";
import {
  isEligible,
  keepsFrom,
  listenerAt,
  livesAt,
  type Beginning,
  type Heard,
  type LiveListener,
  type LocalWait,
} from "./listeners.js";
import { rememberedPlace } from "../route/arrival.js";
import { eventPlanOf } from "../route/event-plan.js";
import { isSettled } from "../route/settle.js";
import { eventOf } from "./payload.js";

export interface TakenEvent extends Heard {
  readonly payload: Uint8Array;
}

/** Of what is read again. */
interface PastTaken extends TakenEvent {
  /** Its time is its home's, its place that of the home's word. */
  readonly isStale: boolean;
}

/** A wait that looks for what came before it. */
export interface Looking {
  readonly event: string;
  readonly listener: LiveListener;
  readonly routeKey: string;
  readonly from: Beginning;
  readonly asked: Asked;
  /** Stream time, exclusive. */
  readonly untilMs: number;
}

/** The first kept event that the wait may take, by the order of the log; null if none. */
export function findKept(
  draft: Draft,
  { event, listener, routeKey, from, asked, untilMs }: Looking,
): TakenEvent | null {
  for (const { offset, eventId, atMs } of keptAt(draft, routeKey)) {
    const heard = { name: event, offset, eventId, atMs };
    if (atMs >= untilMs || !isEligible(from, listener, heard)) continue;
    const row = draft.get(keptEventKey(routeKey, offset));
    if (row !== null && isMet(asked, row.payload)) return { ...heard, payload: row.payload };
  }
  return null;
}

export function keptAt(rows: Pick<RowView, "get">, routeKey: string): Row<"subscription">["kept"] {
  return rows.get(subscriptionKey(routeKey, 0))?.kept ?? [];
}

/** @returns why the wait cannot be answered truly: something that it might have taken is gone. */
export function overflowOf(draft: Draft, { event, routeKey, from }: Looking): ErrorShape | null {
  const lost = draft.get(subscriptionKey(routeKey, 0))?.lost;
  if (lost == null || lost.offset <= from.offset || lost.atMs < from.atMs) return null;
  const message =
    `more than ${LIMITS.keptEventsMax} events or ${LIMITS.keptBytesMax} bytes of ${event} arrived for this run's ` +
    "key before it waited for them; a wait must take them sooner, or use a narrower match";
  return engineError("KeptEventsOverflowError", message);
}

interface Kept {
  /** Time and place of the event. */
  readonly atMs: number;
  readonly offset: number;
  /** Who may give it back. */
  readonly mayComeBack: ReadonlySet<string>;
}

/** Keeps the event if somebody here may still wait for it; drops what nobody can wait for any more. */
export function keepForLookback(
  draft: Draft,
  event: InboxRecordOf<"event">,
  routeKey: string,
  { atMs, offset, mayComeBack }: Kept,
): void {
  if (draft.get(subscriptionKey(routeKey, 0)) === null) return;
  const heard = { name: event.name, offset, eventId: event.id, atMs };
  const needing = needingAt(draft, routeKey);
  trim(draft, routeKey, needing);
  const isNeeded = ({ listener, from }: Need): boolean =>
    isEligible(from, listener, heard) || (mayComeBack.has(listener.base) && heard.offset > from.offset);
  if (!needing.some(isNeeded)) return;
  keep(draft, routeKey, heard.offset, { eventId: event.id, atMs, payload: event.payload });
}

interface Need {
  readonly listener: LiveListener;
  readonly from: Beginning;
}

function needingAt(draft: Draft, routeKey: string): Need[] {
  const { nowMs } = draft.moment;
  const mayComeLate = (wait: LocalWait): boolean => wait.routeKey !== null && !isSettled(draft, wait, nowMs);
  const needs: Need[] = [];
  for (const { base, purpose } of draft.listeners(routeKey)) {
    if (purpose !== "wait") continue;
    const listener = listenerAt(draft, base, draft.moment);
    const from = listener === null ? null : keepsFrom(listener, routeKey, mayComeLate);
    if (listener !== null && from !== null) needs.push({ listener, from });
  }
  return needs;
}

/** Events at the front that lie before all beginnings are of no use. */
function trim(draft: Draft, routeKey: string, needs: readonly Need[]): void {
  const offset = needs.reduce((min, { from }) => Math.min(min, from.offset), Infinity);
  const atMs = needs.reduce((min, { from }) => Math.min(min, from.atMs), Infinity);
  const kept = keptAt(draft, routeKey);
  const first = kept.findIndex((event) => event.offset > offset && event.atMs >= atMs);
  const count = first === -1 ? kept.length : first;
  if (count > 0) draft.emit({ kind: "KeptEventsTrimmed", routeKey, count, lost: false });
}

function keep(draft: Draft, routeKey: string, offset: number, event: KeptEventRow): void {
  const kept = keptAt(draft, routeKey);
  if (kept.some((other) => other.offset === offset)) return; // Read again by a late listener before it was offered.
  let bytes = kept.reduce((sum, other) => sum + other.bytes, event.payload.length);
  let count = 0;
  while (count < kept.length && (kept.length - count >= LIMITS.keptEventsMax || bytes > LIMITS.keptBytesMax)) {
    bytes -= kept[count]?.bytes ?? 0;
    count += 1;
  }
  if (count > 0) draft.emit({ kind: "KeptEventsTrimmed", routeKey, count, lost: true });
  draft.emit({ kind: "EventKept", routeKey, offset, event });
}

/** What a listener that comes late reads again of the partition's own inbox. `from.atMs` is stream time. */
export function pastRange(rows: Pick<RowView, "get">, moment: Moment, eventName: string, from: Beginning): PastRange {
  const { advanceMs } = partitionRowOf(rows);
  const fromRawMs = Math.max(from.atMs - advanceMs, moment.rawMs - PAST_MS_MAX);
  return { names: [eventName], fromRawMs, toOffset: moment.offset };
}

/** Where, and by which value, a late listener listens. */
export interface LateKey {
  readonly event: string;
  readonly path: string;
  readonly value: string;
  readonly routeKey: string;
}

/**
 * By what a past record may have been known when it came: its id, alone and with each match value that it has here, told
 * by its sender or completed here. The first is that of the key it is asked for.
 */
export function idKeysOfPast(
  { record }: PastEvent,
  { path, routeKey }: LateKey,
  functions: Row<"functions">,
  moment: Moment,
): readonly string[] {
  const { id } = record;
  const { keys } = eventPlanOf(record, functions, moment);
  const asked = path === ID_PATH ? id : `${routeKey}|${id}`;
  return [...new Set([asked, id, ...keys.map(({ idKey }) => idKey)])];
}

/**
 * A copy is new as a whole, a repeat or offer by each of its values; what is forgotten is not held against it, but a repeat
 * that came when its id might have been forgotten was dropped.
 */
function wasDropped(draft: Draft, past: PastEvent, key: LateKey): boolean {
  const { origin, idFrom } = past.record;
  if (origin !== null && cameAtMs(draft, past) - origin.atMs > ID_WINDOW_MS[idFrom]) return true;
  const [asked = null, ...others] = idKeysOfPast(past, key, draft.functions(), draft.moment).map((idKey) => {
    return rememberedPlace(draft, idKey)?.offset ?? null;
  });
  // At this key it stands where it was first known; later, if its id was forgotten and used again.
  if (asked !== null && asked <= past.offset) return asked < past.offset;
  const isEarlier = others.some((first) => first !== null && first < past.offset);
  // Where it was not known by the key that it is asked for, it is as new as its other values were.
  return isEarlier && (origin === null || !others.includes(past.offset));
}

/** What it offers is here itself. */
function isOwnOffer({ record: { origin } }: PastEvent, { partition }: Moment): boolean {
  return origin?.as === "offer" && origin.source.partition === partition;
}

/** Is it an event of this key? */
export function isAtKey({ record: { id, payload } }: PastEvent, { path, value }: LateKey): boolean {
  return canonAt(withId(eventOf(payload), id), path) === value;
}

/**
 * Events at the key that came before anybody listened for the run, each once: a repeated send whose id is forgotten by now
 * was not when it came.
 */
export function pastAt(draft: Draft, key: LateKey, from: Beginning): readonly PastTaken[] {
  const found: PastTaken[] = [];
  const cameMs = new Map<string, number>();
  for (const past of draft.pastEvents(pastRange(draft, draft.moment, key.event, from))) {
    const { id, payload, origin } = past.record;
    if (isOwnOffer(past, draft.moment) || !isAtKey(past, key) || wasDropped(draft, past, key)) continue;
    const ms = cameAtMs(draft, past);
    if (ms - (cameMs.get(id) ?? -Infinity) <= ID_WINDOW_MS[past.record.idFrom]) continue;
    cameMs.set(id, ms);
    const isStale = origin?.isStale === true;
    found.push({ name: key.event, offset: past.offset, eventId: id, atMs: timeOf(draft, past), payload, isStale });
  }
  return found;
}

function withId(event: unknown, id: string): unknown {
  return typeof event === "object" && event !== null ? { ...event, id } : event;
}

/** Stream time of a past event: of its first copy, where its sender did not write one here. */
export function timeOf(draft: Draft, past: PastEvent): number {
  const { origin } = past.record;
  return origin?.isStale === true ? origin.atMs : cameAtMs(draft, past);
}

/** Stream time at this very record. */
function cameAtMs(draft: Draft, { rawMs, advancedSinceMs }: PastEvent): number {
  return rawMs + partitionRowOf(draft).advanceMs - advancedSinceMs;
}

/** Who has begun to listen late for something that cancels it. */
export interface LateRules {
  readonly trigger: { readonly id: string; readonly name: string };
  /** From when on it should have listened, and behind which offset; -1: the time alone tells. */
  readonly startedAtMs: number;
  readonly beganOffset: number;
  readonly rules: readonly Rule[];
  /** The triggering event, where the run is here; else the rules have what they need. */
  readonly payload: Uint8Array | null;
}

/** The first event at the key that would have cancelled it. */
export function cancelledBefore(draft: Draft, key: LateKey, late: LateRules): TakenEvent | null {
  const { trigger, startedAtMs, beganOffset, rules, payload } = late;
  const isBehind = ({ offset, atMs, isStale }: PastTaken): boolean =>
    beganOffset >= 0 && !isStale ? offset > beganOffset && atMs >= startedAtMs : atMs > startedAtMs;
  const found = pastAt(draft, key, { offset: -1, atMs: startedAtMs }).find(
    (past) =>
      isBehind(past) &&
      !(past.eventId === trigger.id && key.event === trigger.name) &&
      rules.some(
        (rule) => livesAt(rule, past.atMs) && isMet({ if: rule.if, trigger: payload ?? rule.given }, past.payload),
      ),
  );
  return found ?? null;
}

/** Keeps what a late listener may take, as if it had listened from its beginning on. */
export function keepPast(draft: Draft, key: LateKey, from: Beginning): void {
  const kept = new Set(keptAt(draft, key.routeKey).map(({ offset }) => offset));
  for (const { offset, eventId, atMs, payload } of pastAt(draft, key, from)) {
    if (kept.has(offset) || offset <= from.offset || atMs < from.atMs) continue;
    keep(draft, key.routeKey, offset, { eventId, atMs, payload });
  }
}
