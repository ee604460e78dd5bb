/**
 * Index entries are a function of rows: never checkpointed, rebuilt by a restore. An entry belongs to exactly one row.
 */
import type { RunRow } from "@eddy/schemas";
import { idIndexKey, inFlightKey, isKind, placeText, timerKey, type RowKey, type Timer } from "./keys.js";
import type { Row } from "./view.js";

export interface IndexDiff {
  readonly removed: readonly string[];
  readonly added: readonly (readonly [key: string, value: string])[];
}
export const NO_DIFF: IndexDiff = { removed: [], added: [] };

type Entries = Map<string, string>;

/** What changes in the indexes when the row at `key` changes from `before` to `after` (null: no row). */
export function indexDiff(key: RowKey, before: Row | null, after: Row | null): IndexDiff {
  if (before === after) return NO_DIFF;
  const old = entriesOf(key, before, after);
  const now = entriesOf(key, after, before);
  if (old.size === 0 && now.size === 0) return NO_DIFF;
  const removed: string[] = [];
  const added: [string, string][] = [];
  for (const k of old.keys()) if (!now.has(k)) removed.push(k);
  for (const [k, v] of now) if (old.get(k) !== v) added.push([k, v]);
  return { removed, added };
}

/** Entries of `row`. For id rows, which only grow, the part that `other` shares is left out on both sides. */
function entriesOf(key: RowKey, row: Row | null, other: Row | null): Entries {
  const entries: Entries = new Map();
  if (row === null) return entries;
  if (isKind(key, "run")) runEntries(row as Row<"run">, entries);
  else if (isKind(key, "delivery")) {
    const first = (row as Row<"delivery">).sweeps[0];
    if (first !== undefined) {
      addTimer(entries, { domain: "w", dueAtMs: first.dueAtMs, target: { kind: "sweep", app: key.slice(2) } });
    }
  } else if (isKind(key, "guest")) {
    const { base, waits } = row as Row<"guest">;
    for (const { no, dueAtMs } of waits) {
      addTimer(entries, { domain: "v", dueAtMs, target: { kind: "guest", base, no } });
    }
  } else if (isKind(key, "partition")) {
    for (const { version, sendAtMs } of (row as Row<"partition">).settling) {
      if (sendAtMs === null) continue;
      addTimer(entries, { domain: "w", dueAtMs: sendAtMs, target: { kind: "settle", version } });
    }
  } else if (isKind(key, "ids")) {
    const { ids, expiresAtMs } = row as Row<"ids">;
    addTimer(entries, { domain: "v", dueAtMs: expiresAtMs, target: { kind: "ids", key } });
    const shared = other === null ? 0 : Math.min((other as Row<"ids">).ids.length, ids.length);
    for (const [idKey, offset, atMs] of ids.slice(shared)) entries.set(idIndexKey(idKey), placeText({ offset, atMs }));
  }
  return entries;
}

function addTimer(entries: Entries, timer: Timer): void {
  entries.set(timerKey(timer), "");
}

function runEntries(row: Readonly<RunRow>, entries: Entries): void {
  const { runId } = row;
  for (const item of row.pending) {
    if (item.kind === "foreignWait" || (item.kind === "retry" && item.isDue)) continue;
    const { no, dueAtMs } = item;
    addTimer(entries, { domain: "v", dueAtMs, target: { kind: "pending", runId, no } });
  }
  const { cause, leaseUntilMs } = row.invocation;
  if (cause === null) return;
  if (leaseUntilMs === null) entries.set(inFlightKey(row.app, cause), runId);
  else addTimer(entries, { domain: "w", dueAtMs: leaseUntilMs, target: { kind: "lease", runId } });
}
