/** Who answers what a worker lacks: the partition where it is ours, the log where it is not. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunState } from "@eddy/schemas";
import { InvariantViolation, TransientError } from "../../../clients/src/errors/codes.js";
import {
  decliningRunStates,
  ownedRunStates,
  type RunStates,
  type RunStateSource,
} from "../../../clients/src/dispatch/run-states.js";
import { STATES_MAX } from "../../../clients/src/dispatch/worker-session.js";
import { DispatcherWorld, runOn } from "./dispatcher-fixtures.js";
import { inboxOf, PARTITIONS, settle, until, world, type World } from "./fixtures.js";

const run = runOn(2, 1);
const state: RunState = { runId: run, invocation: 3, event: new Uint8Array([1]), memo: [] };

class FakeSource implements RunStateSource {
  status = "running";
  processedOffset = 0;
  found: RunState | null = state;
  runState(): Promise<RunState | null> {
    return Promise.resolve(this.found);
  }
  isCurrent(): Promise<boolean> {
    return Promise.resolve(this.found !== null);
  }
  time(): { readonly processedOffset: number } {
    return { processedOffset: this.processedOffset };
  }
}

describe("run states", () => {
  let w: World;
  let source: FakeSource | null;
  let states: RunStates;
  const wanted = (atOffset: number | null = null) => ({ runId: run, invocation: 3, atOffset });
  const { signal } = new AbortController();
  const declined = [{ kind: "declined", runId: run, invocation: 3 }];

  beforeEach(async () => {
    w = await world();
    source = new FakeSource();
    states = ownedRunStates({
      partitions: PARTITIONS,
      sourceOf: (partition) => (partition === 2 ? source : null),
      elsewhere: decliningRunStates(w.lanes, PARTITIONS),
      clock: w.clock,
    });
  });
  afterEach(() => w.close());

  it("come from the partition where it is ours and runs", async () => {
    expect(await states.stateOf(wanted(), signal)).toBe(state);
    expect(await states.isOver(wanted(), signal)).toBe(false);
    (source as FakeSource).found = null;
    expect(await states.stateOf(wanted(), signal)).toBeNull();
    expect(await states.isOver(wanted(), signal)).toBe(true);
    expect(await inboxOf(w.log, 2)).toEqual([]);
  });

  it("are declined over the log where the partition is not ours; nobody knows then what is over", async () => {
    source = null;
    expect(await states.isOver(wanted(), signal)).toBe(false);
    expect(await inboxOf(w.log, 2)).toEqual([]);
    expect(await states.stateOf(wanted(), signal)).toBeNull();
    expect(await inboxOf(w.log, 2)).toEqual(declined);
  });

  it("are declined where the partition is being taken over", async () => {
    (source as FakeSource).status = "starting";
    expect(await states.stateOf(wanted(), signal)).toBeNull();
    expect(await inboxOf(w.log, 2)).toEqual(declined);
  });

  it("wait until the partition has seen what caused the request, and decline when it goes meanwhile", async () => {
    const answer = states.stateOf(wanted(5), signal);
    let isAnswered = false;
    void answer.then(() => (isAnswered = true));
    w.clock.advance(1_000);
    await settle();
    expect(isAnswered).toBe(false);
    (source as FakeSource).processedOffset = 5;
    w.clock.advance(1_000);
    expect(await answer).toBe(state);
    const next = states.stateOf(wanted(6), signal);
    await settle();
    source = null;
    w.clock.advance(1_000);
    expect(await next).toBeNull();
    expect(await inboxOf(w.log, 2)).toEqual(declined);
  });

  it("are undefined when nobody waits any more", async () => {
    const gone = new AbortController();
    const answer = states.stateOf(wanted(5), gone.signal);
    await settle();
    gone.abort();
    w.clock.advance(1_000);
    expect(await answer).toBeUndefined();
    expect(await states.isOver(wanted(), gone.signal)).toBe(false);
    expect(await inboxOf(w.log, 2)).toEqual([]);
  });

  it("are asked for again by who gets no answer from the log", async () => {
    source = null;
    w.log.beforeAppend = () => {
      throw new TransientError("not now");
    };
    let failure: unknown = null;
    states.stateOf(wanted(), signal).catch((error: unknown) => (failure = error));
    await until("a failure", () => {
      w.clock.advance(100);
      return failure;
    });
    expect(failure).toBeInstanceOf(TransientError);
  });

  it("lie where the lanes lead", () => {
    expect(() => decliningRunStates(w.lanes, PARTITIONS + 1)).toThrow(InvariantViolation);
  });
});

it("G11: few are read at once for one worker, and none while it has not taken what it was sent", async () => {
  const d = await DispatcherWorld.make();
  const runs = Array.from({ length: STATES_MAX + 2 }, (_, no) => runOn(1, no));
  const answers = runs.map((runId) => {
    let answer = (): void => undefined;
    d.states.set(runId, new Promise((resolve) => (answer = () => resolve({ ...state, runId }))));
    return () => answer();
  });
  const worker = d.worker("w", runs.length);
  worker.link.isCongested = true;
  for (const runId of runs) worker.send({ kind: "needState", runId, invocation: 1 });
  await settle();
  expect(d.asked).toEqual([]);
  worker.link.isCongested = false;
  worker.session.writable();
  await settle();
  expect(d.asked).toHaveLength(STATES_MAX);
  answers[0]?.();
  await until("the next", () => d.asked.length === STATES_MAX + 1);
  worker.link.isCongested = true;
  answers[1]?.();
  await until("both", () => worker.link.of("state").length === 2);
  await settle();
  expect(d.asked).toHaveLength(STATES_MAX + 1);
  worker.link.isCongested = false;
  worker.session.writable();
  for (const answer of answers) answer();
  await until("all", () => worker.link.of("state").length === runs.length);
  await d.close();
});
