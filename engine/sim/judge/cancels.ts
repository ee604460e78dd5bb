/**
 * G3 over all partitions, by logs and history alone: a run that had not ended when an event hit one of its rules ends as
 * cancelled. On the run's own partition the log's order says it to the record; from elsewhere word takes a while.
 */
import { partitionOf, type CancelRule } from "@eddy/schemas";
import { listeningOf, matches, valueOf } from "../model/listening.js";
import type { Verdict } from "../model/verdict.js";
import { cameTooLate, endOf, type LoggedEvent, type RunLines, type World } from "./world.js";

/** How long word of an event elsewhere may be on its way, in ms of append time: readers lag, processes pause and die. */
const ON_ITS_WAY_MS_MAX = 900_000;

export function judgeCancels(world: World, verdict: Verdict): void {
  for (const run of world.runs) {
    const start = run.lines[0];
    const trigger = world.triggerOf(run);
    const end = endOf(run);
    if (start?.body.kind !== "runStarted" || trigger?.isOne !== true || end?.body.kind === "runCancelled") continue;
    const config = world.configAt(run.partition, run.functionId, start.cause.offset);
    for (const rule of config?.cancelOn ?? []) {
      const hit = world.events.find((event) => event !== trigger && mustCancel(world, run, rule, event));
      if (hit === undefined) continue;
      const at = { partition: run.partition, offset: end?.cause.offset ?? start.cause.offset, runId: run.runId };
      verdict.add("G3", `${hit.id} cancels it, but it ended as ${end?.body.kind ?? "nothing"}`, at);
    }
  }
}

function mustCancel(world: World, run: RunLines, rule: CancelRule, event: LoggedEvent): boolean {
  const trigger = world.triggerOf(run);
  const start = run.lines[0];
  if (trigger === undefined || start === undefined || !event.isOne || !world.acknowledged.has(event.id)) return false;
  const listening = listeningOf(rule);
  const value = valueOf(trigger.body, listening.of);
  if (value === null || !matches(listening, value, trigger.body, event)) return false;
  const at = partitionOf(value, world.partitions);
  const began = at === run.partition ? start.cause.offset : (trigger.arrivals.get(at) ?? -1);
  // Its home's word was there before: what its sender wrote there later is a repeat.
  if ((event.arrivals.get(at) ?? Infinity) < began) return false;
  const copy = event.copies.get(at) ?? event.copies.get(event.home);
  if (copy === undefined || (copy.partition !== at && cameTooLate(world, event, copy, at))) return false;
  const starts = [start.body.atMs, ...[...trigger.copies.values()].map(({ atMs }) => atMs)];
  if (copy.atMs >= expiryOf(rule, Math.min(...starts))) return false;
  const end = endOf(run)?.cause.offset ?? Infinity;
  if (copy.partition === run.partition) return copy.offset > start.cause.offset && copy.offset < end;
  const endedMs = end === Infinity ? Infinity : (world.momentAt(run.partition, end)?.rawMs ?? 0);
  return copy.atMs > Math.max(...starts) && endedMs > copy.rawMs + ON_ITS_WAY_MS_MAX;
}

function expiryOf({ timeout }: CancelRule, startedAtMs: number): number {
  if (timeout === null) return Infinity;
  return "ms" in timeout ? startedAtMs + timeout.ms : timeout.atMs;
}
