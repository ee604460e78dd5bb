/** What a run's own partition hears from the partitions where the run listens (ADR 0015). */
import type { ForeignAnswer, InboxRecord, InboxRecordOf } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import { onEvent } from "../match/event.js";
import { resolveWait, settleByTime } from "../match/waits.js";
import type { EventRecord } from "../route/event-plan.js";
import { endRun } from "../run/end.js";
import { moveMark } from "../run/mark.js";
import { resume } from "../run/resume.js";
import { runKey } from "../state/keys.js";
import type { Row } from "../state/view.js";
import { askForeign } from "./tell.js";

export function onAnswer(draft: Draft, { base, runId, answer }: InboxRecordOf<"answer">): void {
  const run = draft.get(runKey(base));
  if (run === null || (runId !== null && run.runId !== runId)) {
    return draft.reject("RUN_FINISHED", `run ${runId ?? base} does not live here`);
  }
  switch (answer.kind) {
    case "cancelled": {
      const { eventId, eventName } = answer;
      return endRun(draft, run, { kind: "cancelled", eventId, reason: `event ${eventName}` });
    }
    case "failed":
      return endRun(draft, run, { kind: "failed", error: answer.error });
    case "resolved":
    case "timedOut":
      return settleForeign(draft, run, answer);
  }
}

type Settled = Extract<ForeignAnswer, { kind: "resolved" | "timedOut" }>;

function settleForeign(draft: Draft, { runId, pending, taken, mark }: Row<"run">, answer: Settled): void {
  const wait = pending.find((item) => item.no === answer.no);
  if (wait?.kind !== "foreignWait") return draft.reject("STALE_TIMER", `wait ${answer.no} of run ${runId} is over`);
  // Another wait of the run took this event meanwhile: it must have a later one.
  if (answer.kind === "resolved" && taken.some(([eventId]) => eventId === answer.eventId))
    return askForeign(draft, runId, wait);
  draft.emit({ kind: "PendingClosed", runId, no: wait.no });
  if (answer.kind === "timedOut") {
    settleByTime(draft, runId, "wait", wait.stepId);
    moveMark(draft, runId, wait.stepId, { offset: mark.offset, atMs: wait.deadlineMs });
  } else {
    const { eventId, payload, fromLookback, atMs } = answer;
    resolveWait(draft, runId, wait.stepId, { eventId, payload, fromLookback, to: { offset: mark.offset, atMs } });
  }
  resume(draft, runId);
}

/** The trigger's copy made the run listen there. If there is no such run, or it does not listen there, that is over. */
export function onAnnounced(draft: Draft, record: InboxRecordOf<"announced">): void {
  const { base, at, event, source } = record;
  if (event !== null) onEvent(draft, announcedEvent(record, event));
  const run = draft.get(runKey(base));
  if (run?.foreign.some(({ partition }) => partition === source.partition) === true) {
    return draft.emit({ kind: "ForeignHeard", runId: run.runId, partition: source.partition, at });
  }
  draft.append(source.partition, (own) => ({
    kind: "unlisten",
    ...{ base, runId: null, no: null, upTo: at, source: own },
  }));
}

type Announced = InboxRecordOf<"announced">;

/** The event that a record brings to its partition, if it brings one. */
export function eventIn(record: InboxRecord): EventRecord | null {
  if (record.kind === "event") return record;
  return record.kind === "announced" && record.event !== null ? announcedEvent(record, record.event) : null;
}

/** The event that came along, as a repeat of its home's. */
export function announcedEvent({ source }: Announced, event: NonNullable<Announced["event"]>): EventRecord {
  const { atMs, isStale, ...fields } = event;
  return { kind: "event", ...fields, origin: { as: "repeat", isStale, atMs, offset: source.offset, source } };
}
