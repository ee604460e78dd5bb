/** G6: what was acknowledged is in the log, starts what it must start, and never twice while its id is remembered. */
import {
  anchorValueOf,
  baseOfRun,
  ID_WINDOW_MS,
  matchValuesOf,
  namesEvent,
  partitionOf,
  runBaseOf,
  type FunctionConfig,
} from "@eddy/schemas";
import type { Acknowledged } from "../actors/facts.js";
import { conditionHolds } from "../model/listening.js";
import type { Verdict } from "../model/verdict.js";
import { readCondition } from "../script/script.js";
import { anchorIn, cameTooLate, type LoggedEvent, type RunLines, type World } from "./world.js";

export function judgeAcknowledged(world: World, acknowledged: readonly Acknowledged[], verdict: Verdict): void {
  const places = new Map<string, Set<number>>();
  for (const { id, sentTo } of world.events) {
    const known = places.get(id) ?? new Set();
    places.set(id, known);
    for (const partition of sentTo) known.add(partition);
  }
  for (const { eventId, partitions } of acknowledged) {
    for (const partition of partitions) {
      if (places.get(eventId)?.has(partition) === true) continue;
      verdict.add("G6", `event ${eventId} was acknowledged`, { partition });
    }
  }
}

export function judgeStarts(world: World, functions: readonly string[], verdict: Verdict): void {
  const byBase = new Map<string, RunLines[]>();
  for (const run of world.runs) byBase.set(baseOfRun(run.runId), [...(byBase.get(baseOfRun(run.runId)) ?? []), run]);
  for (const runs of byBase.values()) judgeLives(world, runs, verdict);
  for (const event of world.events) {
    if (!event.isOne || !world.acknowledged.has(event.id)) continue;
    for (const functionId of functions) {
      const base = mustStart(world, functionId, event);
      if (base === null || byBase.has(base)) continue;
      verdict.add("G6", `event ${event.id} did not start ${functionId}`);
    }
  }
}

function judgeLives(world: World, runs: readonly RunLines[], verdict: Verdict): void {
  const starts = runs.flatMap((run) => {
    const first = run.lines[0]?.body;
    return first?.kind === "runStarted" ? [{ run, first }] : [];
  });
  starts.sort((a, b) => a.first.atMs - b.first.atMs);
  for (const [i, { run, first }] of starts.entries()) {
    const before = starts[i - 1]?.first;
    const idFrom = world.event(first.eventName, first.eventId)?.idFrom ?? "generated";
    if (before === undefined || first.atMs - before.atMs >= ID_WINDOW_MS[idFrom]) continue;
    const text = `event ${first.eventId} started ${run.functionId} again, ${first.atMs - before.atMs} ms later`;
    verdict.add("G6", text, { partition: run.partition, runId: run.runId });
  }
}

/** @returns base of the run that must be there; null where it is not sure. */
function mustStart(world: World, functionId: string, event: LoggedEvent): string | null {
  // Where it came before the function did, it is known; what is sent again later starts nothing.
  const copies = [...event.copies.values()];
  if (copies.some(({ partition, offset }) => world.configAt(partition, functionId, offset) === undefined)) return null;
  for (const copy of copies) {
    const fn = world.configAt(copy.partition, functionId, copy.offset);
    if (fn === undefined || !isTriggered(fn, event)) continue;
    const { base, partition } = placeOf(world, functionId, event);
    if (partition === copy.partition) return base;
    // Its own partition may have a newer configuration when it hears of the event.
    const isHome = copy.partition === event.home && !event.copies.has(partition);
    const all = world.configsOf(partition, functionId);
    const isSure = all.every((other) => other !== undefined && sameStart(fn, other));
    const knows = world.configAt(partition, functionId, firstOffsetSince(world, partition, copy.rawMs)) !== undefined;
    if (isHome && isSure && knows && !cameTooLate(world, event, copy, partition)) return base;
  }
  return null;
}

/** Surely before the event's word can have come there. */
function firstOffsetSince(world: World, partition: number, rawMs: number): number {
  return world.moments(partition).find((moment) => moment.rawMs >= rawMs - world.skewMs)?.offset ?? -1;
}

function sameStart(a: FunctionConfig, b: FunctionConfig): boolean {
  return JSON.stringify(a.triggers) === JSON.stringify(b.triggers);
}

function isTriggered(fn: FunctionConfig, { name, body }: LoggedEvent): boolean {
  return fn.triggers.some(
    ({ event, if: text }) => namesEvent(event, name) && (text === null || conditionHolds(readCondition(text), body)),
  );
}

function placeOf(
  world: World,
  functionId: string,
  { id, name, body }: LoggedEvent,
): { readonly base: string; readonly partition: number } {
  const path = anchorIn(world, functionId);
  const values = matchValuesOf({ ...(body as object), id }, { paths: [path], anchors: [path] });
  const anchorValue = anchorValueOf(values, path);
  const base = runBaseOf({ functionId, eventName: name, eventId: id, anchorValue });
  return { base, partition: partitionOf(anchorValue, world.partitions) };
}
