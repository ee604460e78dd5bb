/**
 * How large a run is. Its row is one record of the changelog, and so is each part of a request of the steps topic: they
 * must stay below LIMITS.recordBytesMax whatever a user's code does. What is counted here is never less than what the
 * codec writes: texts that may be long are measured, short ones count as much as they can take.
 */
import { LIMITS, type ErrorShape, type PendingItem, type RunRow, type SettledStep } from "@eddy/schemas";
import { engineError } from "../draft.js";
import { dataBytes, refOf } from "../state/results.js";
import type { Row } from "../state/view.js";
import { UNIT_BYTES_MAX, utf8Bytes } from "../utf8.js";

/** A row's numbers and field names, and all texts of which it has one: ids, names. */
const ROW_BYTES_MAX = 4_096;
/** Numbers, enums, route key and field names of one thing in a list. */
const ITEM_BYTES_MAX = 128;
/** A text's or a list's own header. */
const HEADER_BYTES_MAX = 8;

/** Errors and events are immutable and long, and a row is measured often. Memos: they change no answer. */
const errorSizes = new WeakMap<ErrorShape, number>();
const eventSizes = new WeakMap<RunRow["event"], number>();

/** Bytes of a request that leaves nothing out, at most; but for its fixed part, and for what is pending. */
export function carriedBytes({ event, memo }: Pick<RunRow, "event" | "memo">): number {
  return event.payload.length + sumOf(memo);
}

/** Bytes of data that lies in rows of its own. */
function apartBytes({ memo, nextResultNo }: Row<"run">): number {
  let bytes = 0;
  if (nextResultNo === 0) return bytes;
  for (const step of memo) bytes += refOf(step)?.bytes ?? 0;
  return bytes;
}

/** Bytes of the run's row, at most. */
export function rowBytes(run: Row<"run">): number {
  return wholeBytes(run) - apartBytes(run);
}

/** Bytes of all that the run keeps, at most: its row, and what lies apart. */
export function wholeBytes(run: Row<"run">): number {
  const { pending, subscriptions, attempts, taken, laterMarks, withdrawn, foreign } = run;
  let bytes = ROW_BYTES_MAX + carriedBytes(run) + keyBytes(run) + subscriptions.length * ITEM_BYTES_MAX;
  for (const item of pending) bytes += pendingBytes(item);
  for (const { rules } of subscriptions) for (const rule of rules) bytes += ITEM_BYTES_MAX + idBytes(rule.if ?? "");
  for (const stepId of withdrawn) bytes += idBytes(stepId);
  bytes += foreign.length * ITEM_BYTES_MAX;
  for (const [stepId] of attempts) bytes += ITEM_BYTES_MAX + idBytes(stepId);
  for (const [eventId, stepId] of taken) bytes += idBytes(eventId) + idBytes(stepId);
  for (const { stepId } of laterMarks) bytes += ITEM_BYTES_MAX + idBytes(stepId);
  return bytes;
}

function pendingBytes(item: PendingItem): number {
  if (item.kind === "start") return ITEM_BYTES_MAX;
  const bytes = ITEM_BYTES_MAX + idBytes(item.stepId ?? "");
  if (item.kind !== "wait" && item.kind !== "foreignWait") return bytes;
  const texts = [item.event, item.path, item.if ?? "", item.kind === "foreignWait" ? item.value : ""];
  return texts.reduce((sum, text) => sum + idBytes(text), bytes);
}

/** A guest's row is as bounded as a run's. @returns null while it is. */
export function guestTooLarge({ subscriptions, waits, taken }: Row<"guest">): ErrorShape | null {
  let bytes = ROW_BYTES_MAX + subscriptions.length * ITEM_BYTES_MAX;
  const asked = [...subscriptions.flatMap(({ rules }) => rules), ...waits];
  for (const { if: condition, given } of asked) {
    bytes += ITEM_BYTES_MAX + idBytes(condition ?? "") + (given?.length ?? 0);
  }
  for (const { event, path } of waits) bytes += idBytes(event) + idBytes(path);
  for (const eventId of taken) bytes += idBytes(eventId);
  if (bytes <= LIMITS.runRowBytesMax) return null;
  const message =
    `what this run listens to on one other partition comes to ${bytes} bytes, ` +
    `the limit is ${LIMITS.runRowBytesMax}; ` +
    "let its conditions read less of the event that started it";
  return engineError("RunStateTooLargeError", message);
}

/** May the run become too large by this event, if a wait of it gets it? Then the event ends the run. */
export function mayOutgrow(run: Row<"run">, event: { readonly id: string; readonly payload: Uint8Array }): boolean {
  const more = ITEM_BYTES_MAX + event.payload.length + idBytes(event.id);
  const whole = wholeBytes(run);
  const row = whole - apartBytes(run);
  return whole + more > LIMITS.runStateBytesMax || row + more > LIMITS.runRowBytesMax;
}

/** A run must stay small enough to be sent, and its row small enough for the log. @returns null while they are. */
export function stateTooLarge(run: Row<"run">): ErrorShape | null {
  const bytes = wholeBytes(run);
  if (bytes > LIMITS.runStateBytesMax) {
    const message =
      `this run's event, the results of its steps and waits, and what it waits for come to ${bytes} bytes, ` +
      `the limit is ${LIMITS.runStateBytesMax}; let steps return references to large data, not the data`;
    return engineError("RunStateTooLargeError", message);
  }
  if (bytes <= LIMITS.runRowBytesMax) return null;
  const inRow = bytes - apartBytes(run);
  if (inRow <= LIMITS.runRowBytesMax) return null;
  const message =
    `this run's event, the errors and names of its steps, and what it waits for come to ${inRow} bytes beside its ` +
    `large results, the limit is ${LIMITS.runRowBytesMax}; let errors be shorter`;
  return engineError("RunStateTooLargeError", message);
}

/**
 * How the memo of a request is cut where it does not fit one record with the rest of the request: into parts that do. An
 * entry that is longer than a part goes alone; it fits a record by the bounds of results and errors.
 * @param memo what the request carries, in its order. @returns [] where it all fits.
 */
export function partsOf(run: Row<"run">, memo: readonly SettledStep[]): readonly (readonly SettledStep[])[] {
  // All of it is in the run's own row, which fits.
  if (run.nextResultNo === 0 || memo.every((step) => refOf(step) === null)) return [];
  const most = LIMITS.requestPartBytesMax;
  const rest = wholeBytes(run) - sumOf(run.memo);
  if (rest + sumOf(memo) <= most) return [];
  const parts: SettledStep[][] = [];
  let left = 0;
  for (const step of memo) {
    const bytes = entryBytes(step);
    const last = parts.at(-1);
    if (last === undefined || bytes > left) {
      parts.push([step]);
      left = most;
    } else {
      last.push(step);
    }
    left -= bytes;
  }
  return parts;
}

function sumOf(memo: readonly SettledStep[]): number {
  let bytes = 0;
  for (const step of memo) bytes += entryBytes(step);
  return bytes;
}

/** As a request carries it. */
function entryBytes(step: SettledStep): number {
  const { stepId, error } = step;
  return ITEM_BYTES_MAX + idBytes(stepId) + dataBytes(step) + (error === null ? 0 : errorBytes(error));
}

function errorBytes(error: ErrorShape): number {
  const known = errorSizes.get(error);
  if (known !== undefined) return known;
  const bytes = utf8Bytes(error.name) + utf8Bytes(error.message) + utf8Bytes(error.stack ?? "");
  errorSizes.set(error, bytes);
  return bytes;
}

/** The event's match values, and the one that places the run. */
function keyBytes({ event, anchor }: Row<"run">): number {
  const known = eventSizes.get(event);
  if (known !== undefined) return known;
  let bytes = utf8Bytes(anchor);
  for (const [path, value] of event.values) bytes += 2 * HEADER_BYTES_MAX + utf8Bytes(path) + utf8Bytes(value);
  eventSizes.set(event, bytes);
  return bytes;
}

/** Ids are short: they are not measured. */
function idBytes(id: string): number {
  return HEADER_BYTES_MAX + id.length * UNIT_BYTES_MAX;
}
