/**
 * The run's transition table: every state against every input. A new state or input does not compile until it is here.
 * It keeps the drawing above `RunState` (core/run/lifecycle.ts) honest.
 */
import { LEASE_MS, type StepRequest } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import type { Input } from "../../src/core/index.js";
import { stateOf, type RunState } from "../../src/core/run/lifecycle.js";
import { completed, done, failedOp, fn, HOUR, Scenario, waitOp } from "./scenario.js";

const flow = fn({
  id: "flow",
  triggers: [{ event: "start" }],
  cancelOn: [{ event: "stop", match: "data.k", timeout: null }],
  waits: [{ event: "go", match: "data.k" }],
});

interface Given {
  readonly s: Scenario;
  readonly request: StepRequest | null;
}

function started(ts = 0): Given {
  const s = new Scenario([flow]);
  s.send("start", { k: "k1" }, { ts: ts === 0 ? 0 : s.nowMs + ts });
  return { s, request: s.requests.at(-1) ?? null };
}

const STATES: Record<RunState, () => Given> = {
  delayed: () => started(HOUR),
  executing: () => started(),
  backingOff: () => {
    const given = started();
    if (given.request !== null) given.s.report(given.request, [failedOp("a")]);
    return given;
  },
  waiting: () => {
    const given = started();
    const { s, request } = given;
    if (request !== null) s.report(request, [waitOp(request, "w", "go", "data.k", HOUR)]);
    return given;
  },
};

/** One typical input of each kind. */
const INPUTS: Record<Input["kind"], (given: Given) => void> = {
  event: ({ s }) => s.send("go", { k: "k1" }),
  report: ({ s, request }) => s.report(request ?? fakeRequest(s), [completed("a")], done()),
  delivered: ({ s }) => s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset - 1, index: 99 } }),
  heartbeat: ({ s }) =>
    s.apply({ kind: "heartbeat", app: "shop", running: s.runs.map(({ runId }) => ({ runId, invocation: 1 })) }),
  tick: ({ s }) => s.tick(1),
  advance: ({ s }) => s.apply({ kind: "advance", ms: 1 }),
  register: ({ s }) => s.apply({ kind: "register", config: { app: "shop", functions: [] } }),
  registered: ({ s }) => s.register([]),
  cancel: ({ s }) => s.apply({ kind: "cancel", runId: s.runs[0]?.runId ?? "", reason: "asked" }),
  logic: ({ s }) => s.apply({ kind: "logic", version: 1 }),
  declined: ({ s, request }) => s.declined(request ?? fakeRequest(s)),
  timerDue: ({ s }) => s.tick(2 * HOUR),
};

function fakeRequest(s: Scenario): StepRequest {
  return { runId: s.runs[0]?.runId ?? "", invocation: 1 } as StepRequest; // Only these two are read.
}

type Expected = RunState | "ended";
const same = (state: RunState) => ({
  delivered: state,
  heartbeat: state,
  tick: state,
  advance: state,
  register: state,
  registered: state, // Runs that live go on under the function they began with.
  logic: state,
  declined: state, // Where it is in flight, the next invocation is too.
});

const TABLE: Record<RunState, Record<Input["kind"], Expected>> = {
  delayed: { ...same("delayed"), event: "delayed", report: "delayed", cancel: "ended", timerDue: "executing" },
  executing: { ...same("executing"), event: "executing", report: "ended", cancel: "ended", timerDue: "executing" },
  backingOff: {
    ...same("backingOff"),
    event: "backingOff",
    report: "backingOff",
    cancel: "ended",
    timerDue: "executing",
  },
  waiting: { ...same("waiting"), event: "executing", report: "waiting", cancel: "ended", timerDue: "executing" },
};

const STATE_NAMES = Object.keys(TABLE) as RunState[];
const INPUT_NAMES = Object.keys(INPUTS) as Input["kind"][];

describe("a run", () => {
  for (const state of STATE_NAMES) {
    for (const input of INPUT_NAMES) {
      const expected = TABLE[state][input];
      it(`that is ${state} and gets ${input} is ${expected}`, () => {
        const given = STATES[state]();
        const before = given.s.runs[0];
        expect(before === undefined ? "ended" : stateOf(before)).toBe(state);
        INPUTS[input](given);
        const after = given.s.runs[0];
        expect(after === undefined ? "ended" : stateOf(after)).toBe(expected);
      });
    }
  }

  it("that has ended rejects everything and leaves nothing", () => {
    for (const input of INPUT_NAMES) {
      const given = started();
      if (given.request !== null) given.s.report(given.request, [], done());
      const effects = given.s.effects.length;
      INPUTS[input](given);
      const caused = given.s.effects.slice(effects).map((e) => e.kind);
      expect(
        caused.filter((kind) => kind === "RequestStep" || kind === "SendSignal" || kind === "RecordHistory"),
      ).toEqual([]);
      expect(given.s.runs).toEqual([]);
    }
  });

  it("goes out again at once, whole, when the invocation in flight is declined, and at no other decline", () => {
    for (const state of STATE_NAMES) {
      const given = STATES[state]();
      const before = given.s.requests.length;
      INPUTS.declined(given);
      INPUTS.declined(given);
      const made = given.s.requests.slice(before);
      expect(made.map(({ invocation }) => invocation)).toEqual(state === "executing" ? [2] : []);
      expect(given.s.rejections).toEqual(Array(state === "executing" ? 1 : 2).fill("STALE_INVOCATION"));
      for (const request of made) expect(request.event).not.toBeNull();
    }
  });

  it("that executes goes out again when its lease is over, and stays as it is until then", () => {
    const { s } = started();
    INPUTS.delivered({ s, request: null });
    s.tick(LEASE_MS - 1);
    expect(s.requests).toHaveLength(1);
    s.tick(1);
    expect(s.requests).toHaveLength(2);
  });
});
