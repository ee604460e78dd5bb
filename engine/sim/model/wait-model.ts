/** Waits: from where on events count for them, what came before they were asked for, how they end. */
import { BROKER_SKEW_MS, functionIdOf, partitionOf, type StepOp } from "@eddy/schemas";
import { givenOf, keyOf, listeningOf, matches, type Listening } from "./listening.js";
import { engineError, type PartitionModel } from "./partition-model.js";
import { declares, pastEventsOf } from "./registration-model.js";
import type { ForeignWaitPending, From, Hearing, ModelEvent, ModelMark, ModelRun, Rule } from "./run.js";

type WaitRequest = Extract<StepOp, { kind: "waitRequested" }>;

export interface Given {
  readonly stepId: string;
  readonly event: Pick<ModelEvent, "id" | "payload" | "offset" | "atMs">;
  readonly fromLookback: boolean;
}

/** The mark moves to the event itself, however late it is given. */
export function giveEvent(model: PartitionModel, run: ModelRun, { stepId, event, fromLookback }: Given): void {
  model.remember(run, { stepId, kind: "wait", data: event.payload, error: null, invocation: 0 });
  run.taken.set(event.id, stepId);
  model.moveMark(run, stepId, { offset: event.offset, atMs: event.atMs });
  model.record(run, { kind: "waitResolved", stepId, eventId: event.id, fromLookback });
}

/** Clocks of brokers differ: what another partition's clock says is taken with a grain of salt. */
function after({ offset, atMs }: ModelMark): From {
  return { offset, atMs: atMs - BROKER_SKEW_MS };
}

function beginningOf(model: PartitionModel, run: ModelRun, since: WaitRequest["since"]): From {
  switch (since) {
    case "mark":
      return after(run.mark);
    case "trigger":
      return after({ offset: run.beganOffset, atMs: run.startedAtMs });
    case "registration":
      return { offset: model.offset, atMs: model.nowMs };
  }
}

export function requestWait(model: PartitionModel, run: ModelRun, op: WaitRequest, deadlineMs: number): void {
  const { stepId, value } = op;
  const listening = listeningOf(op);
  model.record(run, { kind: "waitStarted", stepId, eventName: op.event, untilMs: deadlineMs });
  const from = beginningOf(model, run, op.since);
  const no = run.pendingNo;
  if (value === null) {
    run.pendingNo += 1;
    run.pending.push({ kind: "wait", no, dueAtMs: deadlineMs, deadlineMs, stepId, ...listening, value, from });
    return;
  }
  learn(model, run, listening);
  const partition = partitionOf(value, model.where.partitions);
  if (op.since === "trigger" && !mayLookBack(model, run, listening, value)) {
    return model.end(run, { kind: "runFailed", error: engineError("UndeclaredWaitError") });
  }
  if (partition !== model.where.partition) {
    run.pendingNo += 1;
    const wait: ForeignWaitPending = {
      ...{ kind: "foreignWait", no, dueAtMs: deadlineMs, deadlineMs, stepId, ...listening },
      ...{ value, partition, fromMs: from.atMs },
    };
    if (!run.foreign.has(partition)) run.foreign.set(partition, -1);
    run.pending.push(wait);
    return tellWait(model, run, wait);
  }
  const hearing = hearAt(run.listens, keyOf(listening, value), () => lateHearing(model, after(run.mark).atMs));
  const earlier = earlierEvent(model, {
    ...{ listening, value, given: run.trigger.body, trigger: run.trigger, taken: run.taken, from, deadlineMs, hearing },
  });
  if (earlier !== undefined) return giveEvent(model, run, { stepId, event: earlier, fromLookback: true });
  run.pendingNo += 1;
  run.pending.push({ kind: "wait", no, dueAtMs: deadlineMs, deadlineMs, stepId, ...listening, value, from });
}

/** Events since the trigger are there only if the function said that it needs them, or if the mark is still there. */
function mayLookBack(model: PartitionModel, run: ModelRun, listening: Listening, value: string): boolean {
  const { mark, beganOffset, startedAtMs } = run;
  if (mark.offset === beganOffset && mark.atMs === startedAtMs) return true;
  if (partitionOf(value, model.where.partitions) === model.where.partition) {
    return run.sinceTrigger.has(keyOf(listening, value));
  }
  const fn = model.apps.get(run.app)?.functions.find(({ id }) => run.functionId === functionIdOf(run.app, id));
  return (fn?.waits ?? []).some((wait) => {
    const { event, path } = listeningOf(wait);
    return wait.since === "trigger" && event === listening.event && path === listening.path;
  });
}

/** What the function has not declared it declares from now on: whoever sends must know the way. */
function learn(model: PartitionModel, run: ModelRun, { event, path, of }: Listening): void {
  const app = model.apps.get(run.app);
  const functionId = run.functionId.slice(run.app.length + 1);
  if (functionIdOf(run.app, functionId) !== run.functionId) throw new Error(`no function id: ${run.functionId}`);
  if (app !== undefined && declares(app, { functionId, event, path })) return;
  // Where each run has its own constant, there is nothing to fill in for others.
  const wait = { functionId, event, path, of: of.startsWith("=") && of !== path ? null : of };
  const { base } = run;
  const { settleMs } = model;
  model.send(0, { kind: "learn", app: run.app, base, wait, settleMs });
}

/** Asks the partition of the value to keep the wait. */
export function tellWait(model: PartitionModel, run: ModelRun, wait: ForeignWaitPending): void {
  const { no, event, path, value, condition, deadlineMs, fromMs } = wait;
  const given = condition === null ? null : new TextEncoder().encode(JSON.stringify(givenOf(wait, run.trigger.body)));
  model.send(wait.partition, {
    ...introduction(run),
    wait: { no, event, path, value, if: condition?.text ?? null, given, deadlineMs, fromMs },
    rules: [],
  });
}

/** What every `listen` says of its run. */
export function introduction(run: ModelRun) {
  const { base, runId, trigger, startedAtMs, taken, mark } = run;
  return {
    ...{ kind: "listen" as const, base, runId, trigger: { id: trigger.id, name: trigger.name }, startedAtMs },
    ...{ taken: [...taken.keys()], keepFromMs: after(mark).atMs },
  };
}

interface Looking {
  readonly listening: Listening;
  readonly value: string;
  readonly given: unknown;
  readonly trigger: { readonly id: string; readonly name: string };
  readonly taken: Pick<ReadonlySet<string>, "has">;
  readonly from: From;
  readonly deadlineMs: number;
  readonly hearing: Hearing;
}

/** What is heard at the key; who comes late hears the past of it first. */
export function hearAt(listens: Map<string, Hearing>, key: string, late: () => Hearing): Hearing {
  const hearing = listens.get(key) ?? late();
  listens.set(key, hearing);
  return hearing;
}

export function lateHearing(model: PartitionModel, sinceMs: number): Hearing {
  return { sinceOffset: model.offset, past: pastEventsOf(model, sinceMs) };
}

/** Lookback by definition: the first event from there on that matches and that this run has not had. */
export function earlierEvent(model: PartitionModel, looking: Looking): ModelEvent | undefined {
  const { listening, value, given, trigger, taken, from, deadlineMs, hearing } = looking;
  const heard = [...hearing.past, ...model.events.filter(({ offset }) => offset >= hearing.sinceOffset)];
  heard.sort((a, b) => a.offset - b.offset);
  return heard.find(
    (event) =>
      event.countsAt(listening.path, value) &&
      event.offset > from.offset &&
      event.atMs >= from.atMs &&
      event.atMs < deadlineMs &&
      !taken.has(event.id) &&
      !(event.id === trigger.id && event.name === trigger.name) &&
      matches(listening, value, given, event),
  );
}

type Late = {
  readonly trigger: { readonly id: string; readonly name: string };
  readonly startedAtMs: number;
  /** Behind which offset it should have listened; -1: the time alone tells. */
} & ({ readonly fromOffset: number } | { readonly beganOffset: number });

/** What would have ended it, had this partition known of its rule in time. */
export function earlierHit(model: PartitionModel, late: Late, rule: Rule, given: unknown): ModelEvent | undefined {
  const { trigger, startedAtMs } = late;
  const beganOffset = "fromOffset" in late ? late.fromOffset : late.beganOffset;
  const isBehind = ({ offset, atMs, isStale }: ModelEvent): boolean =>
    isStale || beganOffset === -1 ? atMs > startedAtMs : offset > beganOffset && atMs >= startedAtMs;
  if (startedAtMs >= rule.expiresAtMs) return undefined;
  return pastEventsOf(model, startedAtMs).find(
    (event) =>
      event.countsAt(rule.path, rule.value) &&
      isBehind(event) &&
      event.atMs < rule.expiresAtMs &&
      !(event.id === trigger.id && event.name === trigger.name) &&
      matches(rule, rule.value, given, event),
  );
}

/** A wait or sleep that lost a race. Had it ended meanwhile, unknown to the handler, that is taken back. */
export function withdraw(model: PartitionModel, run: ModelRun, stepId: string): void {
  const open = run.pending.find((p) => p.kind !== "start" && p.kind !== "retry" && p.stepId === stepId);
  const settled = model.newsOf(run).find((entry) => entry.stepId === stepId && entry.kind !== "run");
  if (open === undefined && settled === undefined) return;
  run.pending = run.pending.filter((p) => p !== open);
  run.withdrawn.add(stepId);
  if (settled !== undefined) model.takeBack(run, stepId);
  if (open?.kind === "foreignWait") {
    const { base, runId } = run;
    const upTo = run.foreign.get(open.partition) ?? -1;
    model.send(open.partition, { kind: "unlisten", base, runId, no: open.no, upTo });
  }
  model.record(run, { kind: "stepWithdrawn", stepId });
}
