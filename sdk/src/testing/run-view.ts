/** A run as a test looks at it, made of what the engine's history has. */
import type { RunSummary, TimelineLine } from "@eddy/schemas";
import type { Untyped } from "../define/event-type.js";

/**
 * Of a step: Retrying: an attempt failed, another one is due. Waiting: of a sleep or wait. TimedOut: no event came.
 * Withdrawn: it lost a race, or the run ended before it.
 */
export type StepStatus = "Completed" | "Failed" | "Retrying" | "Waiting" | "TimedOut" | "Withdrawn";

/** A step that has been performed at least once, or is waited for: a part of {@link RunView}. */
export interface StepView {
  /** With its number where the id was used before: `mail`, `mail:1`, `mail:2`. */
  readonly id: string;
  /** `run` stands for `step.sendEvent` too. */
  readonly kind: "run" | "sleep" | "wait";
  /** Where it stands at this moment. */
  readonly status: StepStatus;
  /** What the handler got: a step's result as JSON has it, a wait's event; null where there is none. */
  readonly output: Untyped;
  /** Of the last attempt that failed, also where a later one succeeded; null where none did. */
  readonly error: RunError | null;
  /** Attempts that were made, with those that failed; 0 for sleeps and waits. */
  readonly attempts: number;
}

/** An event that the run waits for at this moment. */
export interface WaitView {
  /** The id that the handler gave the wait. */
  readonly id: string;
  /** The event's name. */
  readonly event: string;
  /** Virtual time at which it ends with null. */
  readonly until: Date;
}

/** What was thrown, as the engine keeps it: by a step's last attempt, or by what ended the run. */
export interface RunError {
  /** `Error`, `TypeError`, ...; of Eddy's own, such as `NonDeterminismError`, too. */
  readonly name: string;
  /** As it was thrown. */
  readonly message: string;
  /** null where the error came without one. */
  readonly stack: string | null;
}

/**
 * A run at one moment: `t.run(id)` and `t.runs()` give it. It does not change by itself; ask again after `send` or `advance`.
 * @example
 * ```ts
 * import { testEngine } from "@eddy/sdk/testing";
 * import { Eddy } from "@eddy/sdk";
 *
 * const eddy = new Eddy({ id: "shop" });
 * const nag = eddy.createFunction({ id: "nag", triggers: [{ event: "bill/sent" }] }, async ({ step }) => {
 *   const paid = await step.waitForEvent("paid", { event: "bill/paid", match: "data.bill", timeout: "14 days" });
 *   return paid === null ? "late" : "paid";
 * });
 * const t = await testEngine({ functions: [nag], now: "2026-01-01T00:00:00Z" });
 * const { runs } = await t.send({ name: "bill/sent", data: { bill: 7 } });
 *
 * const open = await t.run(runs[0]);
 * console.log(open.status, open.waits); // Running [{ id: "paid", event: "bill/paid", until: 2026-01-15T00:00:00.000Z }]
 *
 * await t.advance("14 days");
 * const ended = await t.run(runs[0]);
 * console.log(ended.output, ended.steps[0]?.status); // late TimedOut
 * await t.close();
 * ```
 */
export interface RunView {
  /** The run's id: `Sent.runs` has it. */
  readonly id: string;
  /** The function's id, without the app. */
  readonly function: string;
  /** What started it. */
  readonly event: { readonly id: string; readonly name: string };
  /** `Running` also while it sleeps, waits, or has to wait for a retry. */
  readonly status: RunSummary["status"];
  /** What the handler returned, as JSON has it; null until then. */
  readonly output: Untyped;
  /** Why it failed; null unless it has. A step's own errors are with the step. */
  readonly error: RunError | null;
  /** Virtual time. */
  readonly startedAt: Date;
  /** Virtual time; null until then. */
  readonly endedAt: Date | null;
  /** In the order in which they were first heard of. */
  readonly steps: readonly StepView[];
  /** What it waits for at this moment; empty once it has ended. */
  readonly waits: readonly WaitView[];
  /** Everything, line by line, as `GET /v1/runs/:id/timeline` has it. */
  readonly timeline: readonly TimelineLine[];
}

/** A line with the fields that its kind may have. */
interface Line {
  readonly kind: string;
  readonly stepId?: string;
  readonly data?: unknown;
  readonly error?: RunError;
  readonly retryAtMs?: number | null;
  readonly eventName?: string;
  readonly eventId?: string;
  readonly untilMs?: number;
}

type Draft = { -readonly [K in keyof StepView]: StepView[K] } & { eventName: string; eventId: string; untilMs: number };

/** @param eventOf the event of an id; null where it is not known */
export function viewOf(
  summary: RunSummary,
  timeline: readonly TimelineLine[],
  eventOf: (id: string) => unknown,
): RunView {
  const drafts = new Map<string, Draft>();
  for (const line of timeline as readonly unknown[] as readonly Line[]) {
    if (line.stepId !== undefined) take(draftOf(drafts, line.stepId), line);
  }
  const isOver = summary.status !== "Running";
  const all = [...drafts.values()];
  const waits = all.filter(({ kind, status }) => kind === "wait" && status === "Waiting" && !isOver);
  for (const draft of all) {
    if (isOver && (draft.status === "Waiting" || draft.status === "Retrying")) draft.status = "Withdrawn";
    if (draft.kind === "wait" && draft.status === "Completed") draft.output = eventOf(draft.eventId);
  }
  return {
    id: summary.run_id,
    function: summary.function_id.slice(summary.function_id.indexOf("/") + 1),
    event: { id: summary.event_id, name: summary.event_name },
    status: summary.status,
    output: summary.output,
    error: summary.error,
    startedAt: new Date(summary.run_started_at),
    endedAt: summary.ended_at === null ? null : new Date(summary.ended_at),
    steps: all.map(stepOf),
    waits: waits.map(({ id, eventName, untilMs }) => ({ id, event: eventName, until: new Date(untilMs) })),
    timeline,
  };
}

function stepOf({ id, kind, status, output, error, attempts }: Draft): StepView {
  return { id, kind, status, output: output as unknown, error, attempts };
}

function draftOf(drafts: Map<string, Draft>, id: string): Draft {
  const found = drafts.get(id);
  if (found !== undefined) return found;
  const draft: Draft = {
    ...{ id, kind: "run", status: "Waiting", output: null, error: null, attempts: 0 },
    ...{ eventName: "", eventId: "", untilMs: 0 },
  };
  drafts.set(id, draft);
  return draft;
}

function take(draft: Draft, line: Line): void {
  switch (line.kind) {
    case "stepCompleted":
      Object.assign(draft, { status: "Completed", output: line.data ?? null, attempts: draft.attempts + 1 });
      return;
    case "stepFailed": {
      const status = line.retryAtMs === null ? "Failed" : "Retrying";
      Object.assign(draft, { status, error: line.error ?? null, attempts: draft.attempts + 1 });
      return;
    }
    case "sleepStarted":
      Object.assign(draft, { kind: "sleep", status: "Waiting", untilMs: line.untilMs });
      return;
    case "sleepEnded":
      draft.status = "Completed";
      return;
    case "waitStarted":
      Object.assign(draft, { kind: "wait", status: "Waiting", untilMs: line.untilMs, eventName: line.eventName });
      return;
    case "waitResolved":
      Object.assign(draft, { kind: "wait", status: "Completed", eventId: line.eventId });
      return;
    case "waitTimedOut":
      Object.assign(draft, { kind: "wait", status: "TimedOut" });
      return;
    case "stepWithdrawn":
      draft.status = "Withdrawn";
  }
}
