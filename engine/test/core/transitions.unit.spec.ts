/**
 * The run's transition table: every state against every input. A new state or input does not compile until it is here.
 * It keeps the drawing above `RunState` (core/run/lifecycle.ts) honest.
 */
import { baseOfRun, LEASE_MS, runBaseOf, type ForeignAnswer, type StepRequest } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import type { Input } from "../../src/core/index.js";
import { stateOf, type RunState } from "../../src/core/run/lifecycle.js";
import { keyOn } from "./cluster.js";
import { completed, done, failedOp, fn, HOUR, Scenario, waitOp } from "./scenario.js";

/** The run lives on partition 0 of two, and listens on 1 besides. */
const AT = { partition: 0, partitions: 2 };
const KEY = keyOn(0, 2);
const FAR = keyOn(1, 2);

const flow = fn({
  id: "flow",
  triggers: [{ event: "start" }],
  cancelOn: [{ event: "stop", match: "data.k", timeout: null }],
  waits: [
    { event: "go", match: "data.k" },
    { event: "far", match: "data.far" },
  ],
});

interface Given {
  readonly s: Scenario;
  readonly request: StepRequest | null;
}

function started(ts = 0): Given {
  const s = new Scenario([flow], AT);
  s.send("start", { k: KEY, far: FAR }, { ts: ts === 0 ? 0 : s.nowMs + ts });
  return { s, request: s.requests.at(-1) ?? null };
}

const farWait = (request: StepRequest) => waitOp(request, "f", "far", "data.far", HOUR);

/** Wherever a run can have asked for it, it waits for an event of the other partition too. */
const STATES: Record<RunState, () => Given> = {
  delayed: () => started(HOUR),
  executing: () => {
    const given = started();
    if (given.request !== null) given.s.report(given.request, [farWait(given.request)], null);
    return given;
  },
  backingOff: () => {
    const given = started();
    if (given.request !== null) given.s.report(given.request, [farWait(given.request), failedOp("a")]);
    return given;
  },
  waiting: () => {
    const given = started();
    const { s, request } = given;
    if (request !== null) s.report(request, [farWait(request), waitOp(request, "w", "go", "data.k", HOUR)]);
    return given;
  },
};

/** What the other partition tells, once. */
const fromFar = (s: Scenario) => ({ source: { partition: 1, offset: s.nextOffset, index: 0 } });
/** A run of the other partition. */
const GUEST = runBaseOf({ functionId: "shop/other", eventName: "start", eventId: "x", anchorValue: `s:${FAR}` });
const resolved: ForeignAnswer = {
  ...{ kind: "resolved", no: 0, eventId: "far-1", payload: new Uint8Array(), atMs: 0, fromLookback: false },
};

function answered({ s, request }: Given, answer: ForeignAnswer): void {
  const { runId } = s.runs[0] ?? request ?? fakeRequest(s);
  s.apply({ kind: "answer", base: baseOfRun(runId), runId, answer, ...fromFar(s) });
}

/** One typical input of each kind. */
const INPUTS: Record<Input["kind"], (given: Given) => void> = {
  event: ({ s }) => s.send("go", { k: KEY }),
  report: ({ s, request }) => s.report(request ?? fakeRequest(s), [completed("a")], done()),
  delivered: ({ s }) => s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset - 1, index: 99 } }),
  heartbeat: ({ s }) =>
    s.apply({ kind: "heartbeat", app: "shop", running: s.runs.map(({ runId }) => ({ runId, invocation: 1 })) }),
  tick: ({ s }) => s.tick(1),
  advance: ({ s }) => s.apply({ kind: "advance", ms: 1 }),
  register: ({ s }) => s.apply({ kind: "register", config: { app: "shop", functions: [] }, settleMs: 0 }),
  registered: ({ s }) => s.register([]),
  cancel: ({ s }) => s.apply({ kind: "cancel", runId: s.runs[0]?.runId ?? "", reason: "asked" }),
  logic: ({ s }) => s.apply({ kind: "logic", version: 1 }),
  declined: ({ s, request }) => s.declined(request ?? fakeRequest(s)),
  listen: ({ s }) =>
    s.apply({
      ...{ kind: "listen", base: GUEST, runId: `${GUEST}1`, trigger: { id: "x", name: "start" }, startedAtMs: s.nowMs },
      ...{ taken: [], keepFromMs: s.nowMs, wait: null, rules: [], ...fromFar(s) },
    }),
  unlisten: ({ s }) =>
    s.apply({ kind: "unlisten", base: GUEST, runId: `${GUEST}1`, no: null, upTo: -1, ...fromFar(s) }),
  answer: (given) => answered(given, resolved),
  announced: ({ s, request }) => {
    const { runId } = s.runs[0] ?? request ?? fakeRequest(s);
    s.apply({ kind: "announced", base: baseOfRun(runId), at: 7, event: null, ...fromFar(s) });
  },
  learn: ({ s }) => {
    const wait = { functionId: "flow", event: "new", path: "data.far", of: "data.far" };
    s.apply({ kind: "learn", app: "shop", base: GUEST, wait, settleMs: 0, ...fromFar(s) });
  },
  settled: ({ s }) => s.apply({ kind: "settled", version: 1, ...fromFar(s) }),
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
  listen: state,
  unlisten: state,
  announced: state,
  learn: state,
  settled: state,
  declined: state, // Where it is in flight, the next invocation is too.
});

const ends = (due: Expected) => ({ cancel: "ended" as const, timerDue: due });

const TABLE: Record<RunState, Record<Input["kind"], Expected>> = {
  delayed: { ...same("delayed"), event: "delayed", report: "delayed", answer: "delayed", ...ends("executing") },
  executing: { ...same("executing"), event: "executing", report: "ended", answer: "executing", ...ends("executing") },
  backingOff: {
    ...same("backingOff"),
    event: "backingOff",
    report: "backingOff",
    answer: "executing",
    ...ends("executing"),
  },
  waiting: { ...same("waiting"), event: "executing", report: "waiting", answer: "executing", ...ends("executing") },
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

  const endings: readonly ForeignAnswer[] = [
    { kind: "cancelled", eventId: "far-1", eventName: "left" },
    { kind: "failed", error: { name: "TooManySubscriptionsError", message: "no room", stack: null } },
  ];
  it.each(endings)("ends in any state where another partition says so: $kind", (answer) => {
    for (const state of STATE_NAMES) {
      const given = STATES[state]();
      answered(given, answer);
      expect(given.s.runs).toEqual([]);
      const told = given.s.effects.flatMap((e) => (e.kind === "AppendInbox" ? [e.record] : []));
      expect(told.at(-1)).toMatchObject({ kind: "unlisten", no: null });
      expect([...given.s.world.rows.keys()].filter((key) => /^[rseo]\|/.test(key))).toEqual([]);
    }
  });

  it("that another partition takes for one of its former lives does not hear it", () => {
    for (const state of STATE_NAMES) {
      const { s } = STATES[state]();
      const base = baseOfRun(s.runs[0]?.runId ?? "");
      const answer = { kind: "cancelled" as const, eventId: "far-1", eventName: "left" };
      s.apply({ kind: "answer", base, runId: `${base}0`, answer, ...fromFar(s) });
      expect(s.rejections).toEqual(["RUN_FINISHED"]);
      expect(s.runs).toHaveLength(1);
    }
  });

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
