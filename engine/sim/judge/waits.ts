/**
 * Waits, by logs and history alone. G1: none timed out although a matching event was in the log of its value's partition,
 * after the run's mark and before the deadline. G2: what a wait got is an event that matches and was in time. G9: nor was an
 * event missed that the run's own step had sent.
 *
 * What is demanded is less than what is promised: where marks or clocks leave doubt, an event does not count.
 */
import { BROKER_SKEW_MS, ID_WINDOW_MS, PAST_MS_MAX, partitionOf } from "@eddy/schemas";
import { listeningOf, matches, valueOf, type Listening } from "../model/listening.js";
import type { Verdict } from "../model/verdict.js";
import { takenBy, type Copy, type LoggedEvent, type RunLines, type WaitRequest, type World } from "./world.js";

/** A wait that nobody declared sees so far back at least, in ms of append time: records between partitions take a while. */
const SURELY_SEEN_MS = PAST_MS_MAX / 2;

/** One time that a run waited. */
interface Waited {
  readonly run: RunLines;
  readonly asked: WaitRequest;
  readonly listening: Listening;
  /** null: nothing matches. */
  readonly value: string | null;
  readonly trigger: LoggedEvent;
  /** Place of `waitStarted` among the run's lines. */
  readonly began: number;
  readonly untilMs: number;
}

export function judgeWaits(world: World, verdict: Verdict): void {
  for (const run of world.runs) {
    const kept = takenBy(run);
    for (const [i, { cause, body }] of run.lines.entries()) {
      if (body.kind !== "waitTimedOut" && body.kind !== "waitResolved") continue;
      const waited = waitedFor(world, run, body.stepId, i);
      if (waited === null) continue;
      const at = { partition: run.partition, offset: cause.offset, runId: run.runId };
      if (body.kind === "waitResolved") {
        const problem = problemOf(world, waited, body.eventId);
        if (problem !== null) verdict.add("G2", `${body.stepId} got ${body.eventId}: ${problem}`, at);
        continue;
      }
      const early = earlyBy(world, waited, cause.offset);
      if (early !== null) verdict.add("G1", `${body.stepId} timed out ${early}`, at);
      const taken = new Set([...kept, ...takenDuring(waited, i)]);
      const missed = world.events.find(
        (event) => !taken.has(event.id) && !isForgotten(event, body.atMs) && isMissed(world, waited, event),
      );
      if (missed === undefined) continue;
      const isOwn = missed.id.startsWith(`${run.runId}/`) || missed.id.startsWith(`${run.runId.slice(0, 8)}/`);
      const text = `${body.stepId} timed out, though ${missed.id} was logged in time, ${placesOf(missed)}`;
      verdict.add(isOwn ? "G9" : "G1", text, at);
    }
  }
}

/** What other waits had taken while this one was open: what they give back is there for waits that begin after that. */
function takenDuring({ run, began }: Waited, end: number): readonly string[] {
  const taken = new Map<number, string>();
  for (const [i, { body }] of run.lines.slice(0, end).entries()) {
    if (body.kind === "waitResolved") taken.set(i, body.eventId);
    if (body.kind !== "stepWithdrawn" || i > began) continue;
    const given = run.lines
      .slice(0, i)
      .findLastIndex(({ body: line }) => line.kind === "waitResolved" && line.stepId === body.stepId);
    taken.delete(given);
  }
  return [...taken.values()];
}

function placesOf({ copies }: LoggedEvent): string {
  return [...copies.values()].map(({ partition, offset, atMs }) => `${partition}/${offset} at ${atMs}`).join(", ");
}

function waitedFor(world: World, run: RunLines, stepId: string, end: number): Waited | null {
  const began = run.lines.findLastIndex(
    ({ body }, i) => i < end && body.kind === "waitStarted" && body.stepId === stepId,
  );
  const line = run.lines[began];
  const trigger = world.triggerOf(run);
  if (line?.body.kind !== "waitStarted" || trigger?.isOne !== true) return null;
  const asked = world.askedAt(run, line.cause.offset, stepId);
  if (asked === undefined) return null;
  const listening = listeningOf(asked);
  const value = valueOf(trigger.body, listening.of);
  return { run, asked, listening, value, trigger, began, untilMs: line.body.untilMs };
}

/** The copy that decides when the event was there: that on the value's partition, else that of its home. */
function decidingCopy(event: LoggedEvent, partition: number): Copy | undefined {
  return event.copies.get(partition) ?? event.copies.get(event.home);
}

/** What comes after its id's window is dropped, however it was held up: an advance of the clock may do that. */
function isForgotten({ idFrom, copies }: LoggedEvent, atMs: number): boolean {
  return [...copies.values()].some((copy) => atMs - copy.atMs > ID_WINDOW_MS[idFrom]);
}

function isMissed(world: World, waited: Waited, event: LoggedEvent): boolean {
  const { listening, value, trigger, run, untilMs } = waited;
  if (value === null || !event.isOne || event === trigger || !world.acknowledged.has(event.id)) return false;
  if (!matches(listening, value, trigger.body, event)) return false;
  const partition = partitionOf(value, world.partitions);
  const copy = decidingCopy(event, partition);
  // A repeat there from before the trigger: whatever the clocks say, it came before.
  if ((event.arrivals.get(partition) ?? Infinity) < (trigger.arrivals.get(partition) ?? -1)) return false;
  if (copy === undefined || copy.atMs >= untilMs || !isAfterMark(world, waited, event, copy)) return false;
  const began = run.lines[waited.began];
  if (began === undefined) return false;
  if (copy.partition === run.partition && copy.offset > began.cause.offset) return true;
  const rawMs = world.momentAt(run.partition, began.cause.offset)?.rawMs ?? Infinity;
  return copy.rawMs >= rawMs - SURELY_SEEN_MS;
}

/** Surely behind the mark, and behind the trigger's own copy. */
function isAfterMark(world: World, { run, asked, trigger, began }: Waited, event: LoggedEvent, copy: Copy): boolean {
  const triggered = trigger.copies.get(copy.partition);
  if (triggered !== undefined && copy.offset <= triggered.offset) return false;
  const start = run.lines[0];
  const line = run.lines[began];
  if (start === undefined || line === undefined) return false;
  const ends = run.lines.slice(0, began).filter(({ body }) => MARKS.has(body.kind));
  // A delayed run's mark is the end of its delay.
  const isDelayed = start.body.kind === "runStarted" && start.body.dueAtMs > start.body.atMs;
  const delay = isDelayed ? run.lines.filter(({ body }) => body.kind === "runDispatched").slice(0, 1) : [];
  const marks = asked.since === "mark" ? [start, ...delay, ...ends] : asked.since === "trigger" ? [start] : [line];
  const offset = marks.reduce((max, { cause }) => Math.max(max, cause.offset), -1);
  if (copy.partition === run.partition && copy.offset <= offset) return false;
  // Its home repeated it to the run's partition before the mark: whatever the clocks say, it came before.
  if ((event.arrivals.get(run.partition) ?? Infinity) <= offset) return false;
  return marks.every(({ body }) => {
    if (copy.atMs < body.atMs) return false;
    const taken = body.kind === "waitResolved" ? world.events.filter(({ id }) => id === body.eventId) : [];
    return taken.every(({ copies }) => [...copies.values()].every(({ atMs }) => atMs <= copy.atMs));
  });
}

const MARKS: ReadonlySet<string> = new Set(["sleepEnded", "waitTimedOut", "waitResolved"]);

/** @returns by how much, if the clock of the wait's partition had not come to its deadline. */
function earlyBy(world: World, { run, value, untilMs }: Waited, offset: number): string | null {
  const partition = value === null ? run.partition : partitionOf(value, world.partitions);
  const now = world.momentAt(run.partition, offset);
  if (now === undefined) return null;
  if (partition === run.partition) return now.atMs >= untilMs ? null : `at ${now.atMs}, due ${untilMs}`;
  const reached = world.moments(partition).find(({ atMs }) => atMs >= untilMs);
  const isReached = reached !== undefined && reached.rawMs <= now.rawMs + world.skewMs;
  return isReached ? null : `before partition ${partition} came to ${untilMs}`;
}

/** @returns why the wait must not have got this event; null: it may. */
function problemOf(world: World, { listening, value, trigger, run, untilMs }: Waited, eventId: string): string | null {
  if (value === null) return "nothing matches it";
  const event = world.event(listening.event, eventId);
  if (event === undefined) return "no sender wrote it";
  if (event === trigger) return "it is what started the run";
  if (!event.isOne) return null;
  if (!matches(listening, value, trigger.body, event)) return "it does not match";
  const times = [...event.copies.values()].map(({ atMs }) => atMs);
  if (Math.min(...times) >= untilMs) return `it came at ${Math.min(...times)}, the deadline was ${untilMs}`;
  const own = event.copies.get(run.partition);
  // A run that a late repeat started began when its trigger was first logged.
  const began = Math.min(run.lines[0]?.body.atMs ?? 0, ...[...trigger.copies.values()].map(({ atMs }) => atMs));
  const isOld = own !== undefined && event.copies.size === 1 && own.lastAtMs < began - BROKER_SKEW_MS;
  return isOld ? "it came before the run" : null;
}
