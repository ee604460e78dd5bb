/**
 * How large a run is. Its row is one record of the changelog, and a request that goes whole is one record of its steps
 * topic, so both must stay below LIMITS.recordBytesMax whatever a user's code does. What is counted here is never less
 * than what the codec writes: texts that may be long are measured, short ones count as much as they can take.
 */
import { LIMITS, type ErrorShape, type MemoEntry, type PendingItem, type RunRow } from "@eddy/schemas";
import { engineError } from "../draft.js";
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
  let bytes = event.payload.length;
  for (const entry of memo) bytes += entryBytes(entry);
  return bytes;
}

/** Bytes of the run's row, at most. */
export function stateBytes(run: Row<"run">): number {
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
  if (bytes <= LIMITS.runStateBytesMax) return null;
  const message =
    `what this run listens to on one other partition comes to ${bytes} bytes, ` +
    `the limit is ${LIMITS.runStateBytesMax}; ` +
    "let its conditions read less of the event that started it";
  return engineError("RunStateTooLargeError", message);
}

/** By how much a run's row grows, at most, when a wait of it gets this event. */
export function takenBytes(event: { readonly id: string; readonly payload: Uint8Array }): number {
  return ITEM_BYTES_MAX + event.payload.length + idBytes(event.id);
}

/** A run's row must stay small enough for the log. @returns null while it is. */
export function stateTooLarge(run: Row<"run">): ErrorShape | null {
  const bytes = stateBytes(run);
  if (bytes <= LIMITS.runStateBytesMax) return null;
  return engineError(
    "RunStateTooLargeError",
    `this run's event, the results of its steps and waits, and what it waits for come to ${bytes} bytes, ` +
      `the limit is ${LIMITS.runStateBytesMax}; let steps return references to large data, not the data`,
  );
}

function entryBytes({ stepId, data, error }: MemoEntry): number {
  return ITEM_BYTES_MAX + idBytes(stepId) + (data?.length ?? 0) + (error === null ? 0 : errorBytes(error));
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
