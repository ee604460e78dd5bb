/**
 * What an event means on this partition, as far as its values and the registered functions tell: the keys at which
 * somebody may listen, and the runs it may start. Hashing is the dear part, and a decision asks in several rounds, so
 * the answer is kept beside the record. A memo: it changes no answer.
 */
import {
  anchorPathOf,
  anchorValueOf,
  functionIdOf,
  ID_PATH,
  matchValue,
  partitionOf,
  routeKeyOf,
  runIdOf,
  type FunctionConfig,
  type InboxRecordOf,
  type Timeout,
} from "@eddy/schemas";
import type { Moment } from "../inputs.js";
import type { Row } from "../state/view.js";
import { triggeredBy } from "./triggers.js";

type EventRecord = InboxRecordOf<"event">;

/** A subscription that a function declares, with the trigger's value filled in. */
export interface Declared {
  readonly purpose: "wait" | "cancel";
  readonly match: string;
  readonly value: string;
  readonly routeKey: string;
  /** Of a cancel rule; null: as long as the run. */
  readonly timeout: Timeout | null;
}

/** A run that the event starts here, unless it has already. */
export interface Candidate {
  readonly runId: string;
  readonly functionId: string;
  readonly app: string;
  readonly fn: FunctionConfig;
  readonly anchor: string;
  readonly declared: readonly Declared[];
}

export interface EventPlan {
  /** Route keys of the event's values on this partition, in the order of its values. */
  readonly routeKeys: readonly string[];
  /** What makes a second copy the same event: see `idKeysOf`. */
  readonly idKeys: readonly string[];
  /** In the order of apps and of functions within their app. */
  readonly candidates: readonly Candidate[];
}

interface Memo {
  readonly functions: Row<"functions">;
  readonly partition: number;
  readonly plan: EventPlan;
}
const memos = new WeakMap<EventRecord, Memo>();

export function eventPlanOf(event: EventRecord, functions: Row<"functions">, moment: Moment): EventPlan {
  const memo = memos.get(event);
  if (memo !== undefined && memo.functions === functions && memo.partition === moment.partition) return memo.plan;
  const here = event.values.filter(([, value]) => partitionOf(value, moment.partitions) === moment.partition);
  const keyed = here.map(([path, value]) => ({ path, routeKey: routeKeyOf(event.name, path, value) }));
  const plan = {
    routeKeys: keyed.map((key) => key.routeKey),
    idKeys: idKeysOf(event.id, keyed),
    candidates: candidatesOf(event, functions, moment),
  };
  memos.set(event, { functions, partition: moment.partition, plan });
  return plan;
}

/**
 * An event is known again by its id with each match value of this partition: the same id with other match values is
 * another event. Without match values here, the id alone counts.
 */
function idKeysOf(id: string, keyed: readonly { path: string; routeKey: string }[]): readonly string[] {
  const matched = keyed.filter(({ path }) => path !== ID_PATH);
  return matched.length === 0 ? [id] : matched.map(({ routeKey }) => `${routeKey}|${id}`);
}

function candidatesOf(event: EventRecord, functions: Row<"functions">, moment: Moment): readonly Candidate[] {
  const candidates: Candidate[] = [];
  for (const { app, fn } of triggeredBy(functions, event.name)) {
    const anchor = anchorValueOf(event.values, anchorPathOf(fn));
    if (partitionOf(anchor, moment.partitions) !== moment.partition) continue;
    const functionId = functionIdOf(app, fn.id);
    const runId = runIdOf(functionId, event.id, anchor);
    candidates.push({ runId, functionId, app, fn, anchor, declared: declaredBy(fn, event) });
  }
  return candidates;
}

/**
 * Cancel rules and waits of a function. Where two say the same, the first stands for both, with the longer timeout.
 * Those at paths where the trigger has no value match nothing and are left out.
 */
function declaredBy(fn: FunctionConfig, event: EventRecord): readonly Declared[] {
  const found = new Map<string, Declared>();
  const add = (purpose: Declared["purpose"], name: string, match: string, timeout: Timeout | null): void => {
    const value = matchValue(event.values, match);
    if (value === null) return;
    const routeKey = routeKeyOf(name, match, value);
    const known = found.get(`${purpose}|${routeKey}`);
    const longer = known === undefined ? timeout : longerOf(known.timeout, timeout);
    found.set(`${purpose}|${routeKey}`, { purpose, match, value, routeKey, timeout: longer });
  };
  for (const rule of fn.cancelOn) add("cancel", rule.event, rule.match, rule.timeout);
  for (const wait of fn.waits) add("wait", wait.event, wait.match, null);
  return [...found.values()];
}

/** A length and a point in time cannot be compared without a clock: then the first stands. */
function longerOf(a: Timeout | null, b: Timeout | null): Timeout | null {
  if (a === null || b === null) return null;
  if ("ms" in a && "ms" in b) return a.ms >= b.ms ? a : b;
  if ("atMs" in a && "atMs" in b) return a.atMs >= b.atMs ? a : b;
  return a;
}
