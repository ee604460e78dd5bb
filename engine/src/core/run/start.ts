/** A run begins: its row, its cancel rules, its interest in the events that its function may wait for. */
import { routeKeyOf, runIdAt, type MatchValues, type RunRow } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { foreignOf, tellRules } from "../foreign/tell.js";
import { cancelledBefore, keepPast, type LateKey } from "../match/lookback.js";
import { givenFor, givenTooLarge, isMet } from "../match/condition.js";
import { beginningOf, listenerAt, livesAt, triggerOf } from "../match/listeners.js";
import { isYounger, type Arrival } from "../route/arrival.js";
import type { Candidate, Declared, EventRecord } from "../route/event-plan.js";
import type { Row } from "../state/view.js";
import { dispatch } from "./dispatch.js";
import { endRun } from "./end.js";
import { expiryOf } from "./expiry.js";
import { stateTooLarge } from "./state-size.js";
import { openSubscription } from "./subscribe.js";

/** What starts a run. */
interface Trigger {
  readonly event: EventRecord;
  /** All, by the routes known here. */
  readonly values: MatchValues;
  readonly arrival: Arrival;
}

export function startRun(draft: Draft, candidate: Candidate, trigger: Trigger): void {
  const { nowMs } = draft.moment;
  const { event, arrival } = trigger;
  const run = newRun(draft, candidate, trigger);
  const { runId, functionId } = run;
  draft.emit({ kind: "RunStarted", run });
  const dueAtMs = Math.max(nowMs, event.tsMs);
  const started = { runId, functionId, atMs: nowMs, eventId: event.id, eventName: event.name, dueAtMs };
  draft.effect({ kind: "RecordHistory", entry: { kind: "runStarted", ...started } });
  const tooLarge = stateTooLarge(run); // By its match values: the event itself is bounded.
  if (tooLarge !== null) return endRun(draft, run, { kind: "failed", error: tooLarge });
  for (const listen of candidate.declared) if (!maySay(draft, runId, listen)) return;
  for (const listen of candidate.declared) if (!listenHere(draft, runId, listen, arrival.isLate)) return;
  if (isOvertaken(draft, draft.run(runId), candidate, arrival)) return;
  // The sender may not have known the function as it is registered here: then others may not have, either.
  if (event.version < candidate.app.version) tellRules(draft, draft.run(runId), candidate.declared);
  if (dueAtMs > nowMs) draft.emit({ kind: "PendingOpened", runId, item: { kind: "start", no: 0, dueAtMs } });
  else dispatch(draft, runId, "start");
}

function newRun(draft: Draft, candidate: Candidate, { event, values, arrival }: Trigger): RunRow {
  const { offset, partition } = draft.moment;
  const { base, functionId, app, fn, anchor, declared } = candidate;
  const { atMs: startedAtMs, beganOffset } = arrival;
  return {
    runId: runIdAt(base, offset),
    functionId,
    app: app.app,
    event: {
      id: event.id,
      name: event.name,
      values: values.map(([path, value]) => [path, value]),
      payload: event.payload,
    },
    anchor,
    startedOffset: offset,
    startedAtMs,
    beganOffset,
    mark: { offset: beganOffset, atMs: startedAtMs },
    laterMarks: [],
    retries: fn.retries,
    memo: [],
    nextResultNo: 0,
    pending: [],
    nextPendingNo: 0,
    withdrawn: [],
    subscriptions: [],
    foreign: foreignOf(declared, partition).map((to) => ({ partition: to, heardAt: -1 })),
    attempts: [],
    taken: [],
    invocation: { no: 0, cause: null, leaseUntilMs: null, memoSent: 0 },
  };
}

/** Its rules elsewhere take along what they read of the trigger. @returns false where the run has failed by it. */
function maySay(draft: Draft, runId: string, { partition, rules }: Declared): boolean {
  if (partition === draft.moment.partition) return true;
  const { payload } = draft.run(runId).event;
  for (const { if: condition } of rules) {
    const error = givenTooLarge(condition, givenFor(condition, payload));
    if (error === null) continue;
    endRun(draft, draft.run(runId), { kind: "failed", error });
    return false;
  }
  return true;
}

/** @returns false where the run has failed by it. */
function listenHere(draft: Draft, runId: string, listen: Declared, isLate: boolean): boolean {
  if (listen.partition !== draft.moment.partition) return true;
  const { purpose, routeKey, fromTrigger } = listen;
  const { startedAtMs, beganOffset, event } = draft.run(runId);
  const rules = listen.rules
    .map((rule) => ({ if: rule.if, given: null, expiresAtMs: expiryOf(rule.timeout, startedAtMs) }))
    .filter((rule) => livesAt(rule, startedAtMs));
  if (purpose === "cancel" && rules.length === 0) return true; // They are over before they begin.
  const error = openSubscription(draft, { of: "run", base: runId }, { purpose, routeKey, rules, fromTrigger });
  if (error !== null) {
    endRun(draft, draft.run(runId), { kind: "failed", error });
    return false;
  }
  if (!isLate) return true;
  if (purpose === "wait") {
    keepPast(draft, listen, triggerOf(draft.run(runId)));
    return true;
  }
  const hit = cancelledBefore(draft, listen, {
    trigger: event,
    startedAtMs,
    beganOffset,
    rules,
    payload: event.payload,
  });
  if (hit === null) return true;
  endRun(draft, draft.run(runId), { kind: "cancelled", eventId: hit.eventId, reason: `event ${listen.event}` });
  return false;
}

/**
 * A repeat may come after the copy of a younger event that cancels what it starts: then that has happened (G4).
 * @returns whether the run is over.
 */
function isOvertaken(draft: Draft, run: Row<"run">, { declared, functionId }: Candidate, arrival: Arrival): boolean {
  if (!arrival.isLate) return false;
  for (const { purpose, routeKey } of declared) {
    if (purpose !== "cancel") continue;
    const rules = run.subscriptions.find((s) => s.purpose === purpose && s.routeKey === routeKey)?.rules ?? [];
    for (const { base } of rules.length === 0 ? [] : draft.listeners(routeKey)) {
      const other = listenerAt(draft, base, draft.moment);
      if (other?.of !== "run" || other.run.functionId !== functionId || !isYounger(other, arrival)) continue;
      const { event, startedAtMs, runId } = other.run;
      const isHit = rules.some(
        (rule) => livesAt(rule, startedAtMs) && isMet({ if: rule.if, trigger: run.event.payload }, event.payload),
      );
      if (runId === run.runId || !isHit || !isKeyOf(event, routeKey)) continue;
      endRun(draft, run, { kind: "cancelled", eventId: event.id, reason: `event ${event.name}` });
      return true;
    }
  }
  return false;
}

function isKeyOf({ name, values }: RunRow["event"], routeKey: string): boolean {
  return values.some(([path, value]) => routeKeyOf(name, path, value) === routeKey);
}

/** A key where the run listens although its function did not declare it when it began. @returns false: it has failed. */
export function listenLate(draft: Draft, run: Row<"run">, key: LateKey): boolean {
  const { runId } = run;
  const wanted = { purpose: "wait" as const, routeKey: key.routeKey, rules: [], fromTrigger: false };
  const error = openSubscription(draft, { of: "run", base: runId }, wanted);
  if (error !== null) {
    endRun(draft, draft.run(runId), { kind: "failed", error });
    return false;
  }
  keepPast(draft, key, beginningOf(run.mark));
  return true;
}
