/** A run begins: its row, its cancel rules, its interest in the events that its function may wait for. */
import {
  functionIdOf,
  matchValue,
  partitionOf,
  routeKeyOf,
  type FunctionConfig,
  type InboxRecordOf,
  type RunRow,
} from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { deadlineOf } from "../timer/deadline.js";
import { dispatch } from "./dispatch.js";
import { endRun } from "./end.js";
import { foreignKeyError } from "./foreign.js";
import { openSubscription } from "./subscribe.js";

export interface NewRun {
  readonly runId: string;
  readonly app: string;
  readonly fn: FunctionConfig;
  readonly anchor: string;
  readonly event: InboxRecordOf<"event">;
}

/** A subscription that a function declares, with the trigger's value filled in. */
export interface Declared {
  readonly purpose: "wait" | "cancel";
  readonly routeKey: string;
  readonly value: string;
  readonly match: string;
  readonly expiresAtMs: number | null;
}

export function startRun(draft: Draft, { runId, app, fn, anchor, event }: NewRun): void {
  const { nowMs, offset } = draft.moment;
  const functionId = functionIdOf(app, fn.id);
  const run: RunRow = {
    runId,
    functionId,
    app,
    event: {
      id: event.id,
      name: event.name,
      values: event.values.map(([path, value]) => [path, value]),
      payload: event.payload,
    },
    anchor,
    startedOffset: offset,
    startedAtMs: nowMs,
    markOffset: offset,
    retries: fn.retries,
    memo: [],
    pending: [],
    nextPendingNo: 0,
    subscriptions: [],
    attempts: [],
    taken: [],
    invocation: { no: 0, cause: null, leaseUntilMs: null, memoSent: 0 },
  };
  draft.emit({ kind: "RunStarted", run });
  const dueAtMs = Math.max(nowMs, event.tsMs);
  const started = { runId, functionId, atMs: nowMs, eventId: event.id, eventName: event.name, dueAtMs };
  draft.effect({ kind: "RecordHistory", entry: { kind: "runStarted", ...started } });
  for (const declared of declaredBy(fn, event, nowMs)) {
    if (partitionOf(declared.value, draft.moment.partitions) !== draft.moment.partition) {
      endRun(draft, draft.run(runId), { kind: "failed", error: foreignKeyError(declared.match) });
      return;
    }
    if (!openSubscription(draft, runId, declared)) return;
  }
  if (dueAtMs > nowMs) draft.emit({ kind: "PendingOpened", runId, item: { kind: "start", no: 0, dueAtMs } });
  else dispatch(draft, runId, "start");
}

/**
 * Cancel rules and waits of a function, for a trigger. Where two say the same, one stands for both: the longest-lived.
 * Those at paths where the trigger has no value match nothing and are left out, as are rules that are over already.
 */
export function declaredBy(fn: FunctionConfig, event: InboxRecordOf<"event">, nowMs: number): readonly Declared[] {
  const found = new Map<string, Declared>();
  const add = (purpose: Declared["purpose"], name: string, match: string, expiresAtMs: number | null): void => {
    const value = matchValue(event.values, match);
    if (value === null || (expiresAtMs !== null && expiresAtMs <= nowMs)) return;
    const routeKey = routeKeyOf(name, match, value);
    const key = `${purpose}|${routeKey}`;
    const known = found.get(key);
    if (known !== undefined && outlives(known.expiresAtMs, expiresAtMs)) return;
    found.set(key, { purpose, routeKey, value, match, expiresAtMs });
  };
  for (const rule of fn.cancelOn) {
    add("cancel", rule.event, rule.match, rule.timeout === null ? null : deadlineOf(rule.timeout, nowMs));
  }
  for (const wait of fn.waits) add("wait", wait.event, wait.match, null);
  return [...found.values()];
}

function outlives(a: number | null, b: number | null): boolean {
  return a === null || (b !== null && a >= b);
}
