/** What a run's own partition tells the partitions where the run listens (ADR 0015). */
import { baseOfRun, type ForeignRule, type InboxRecordOf, type PendingItem } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { givenFor } from "../match/condition.js";
import { beginningOf } from "../match/listeners.js";
import type { Declared } from "../route/event-plan.js";
import { expiryOf } from "../run/expiry.js";
import type { Row } from "../state/view.js";

export type ForeignWaitItem = Extract<PendingItem, { kind: "foreignWait" }>;

/** Asks the partition of its value to keep the wait. */
export function askForeign(draft: Draft, runId: string, wait: ForeignWaitItem): void {
  const { no, event, path, value, if: condition, deadlineMs, fromMs } = wait;
  if (!draft.run(runId).foreign.some(({ partition }) => partition === wait.partition)) {
    draft.emit({ kind: "ForeignAdded", runId, partition: wait.partition });
  }
  const run = draft.run(runId);
  const given = givenFor(condition, run.event.payload);
  tell(draft, run, wait.partition, { no, event, path, value, if: condition, given, deadlineMs, fromMs }, []);
}

/** Tells the rules of a run to the partitions where its trigger's copy may not have met them; each by itself: they may be long. */
export function tellRules(draft: Draft, run: Row<"run">, foreign: readonly Declared[]): void {
  for (const { partition: to } of run.foreign) {
    const there = foreign.filter(({ purpose, partition }) => purpose === "cancel" && partition === to);
    if (there.length === 0) tell(draft, run, to, null, []);
    for (const { event, path, value, rules } of there) {
      for (const { if: condition, timeout } of rules) {
        const given = givenFor(condition, run.event.payload);
        const expiresAtMs = expiryOf(timeout, run.startedAtMs);
        tell(draft, run, to, null, [{ event, path, value, if: condition, given, expiresAtMs }]);
      }
    }
  }
}

function tell(
  draft: Draft,
  run: Row<"run">,
  to: number,
  wait: InboxRecordOf<"listen">["wait"],
  rules: readonly ForeignRule[],
): void {
  const { runId, startedAtMs, taken, mark, event } = run;
  draft.append(to, (source) => ({
    kind: "listen",
    base: baseOfRun(runId),
    runId,
    trigger: { id: event.id, name: event.name },
    startedAtMs,
    taken: taken.map(([eventId]) => eventId),
    keepFromMs: beginningOf(mark).atMs,
    wait,
    rules: [...rules],
    source,
  }));
}

/** The run is over, or its wait `no` is. */
export function unlisten(draft: Draft, run: Row<"run">, to: number, no: number | null): void {
  const upTo = run.foreign.find(({ partition }) => partition === to)?.heardAt ?? -1;
  const { runId } = run;
  draft.append(to, (source) => ({ kind: "unlisten", base: baseOfRun(runId), runId, no, upTo, source }));
}

/** Partitions where a new run listens, but for its own. */
export function foreignOf(declared: readonly Declared[], own: number): number[] {
  const partitions = declared.map(({ partition }) => partition).filter((partition) => partition !== own);
  return [...new Set(partitions)].sort((a, b) => a - b);
}
