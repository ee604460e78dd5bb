/** What the judge must find in one partition's log and history, and over both: G1 to G4, G6. */
import { offset as toOffset, type CancelRule, type StepRequest } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { Verdict } from "../model/verdict.js";
import { judgeCancels } from "./cancels.js";
import { FUNCTION_ID, functionOf, HandMade, keyOn } from "./hand-made.js";
import { judgeLateness, judgePromises } from "./promises.js";
import { judgeAcknowledged, judgeStarts } from "./starts.js";

const [HERE, THERE] = [keyOn(0), keyOn(1)];
const STOP: CancelRule = { event: "stop", match: "data.k", if: null, timeout: null };
const data = new Uint8Array();

function judgedAlone(made: HandMade): string[] {
  return made.judged((world, verdict) => {
    for (const partition of [0, 1]) judgePromises({ evidence: made.evidence(partition), verdict }, world);
  });
}

describe("sleeps and waits", () => {
  function sleeping(endsAtMs: number): { made: HandMade; runId: string } {
    const made = new HandMade();
    const runId = made.run(0, 100, { id: "t", data: {}, anchor: HERE });
    made.line(0, 1, runId, { kind: "sleepStarted", atMs: 200, stepId: "nap", untilMs: 500 });
    made.line(0, 2, runId, { kind: "sleepEnded", atMs: endsAtMs, stepId: "nap" });
    return { made, runId };
  }

  it("end in time", () => {
    expect(judgedAlone(sleeping(500).made)).toEqual([]);
  });

  it("must not end early (G1)", () => {
    expect(judgedAlone(sleeping(499).made)).toEqual(["G1: sleepEnded of nap at 499, due 500"]);
  });

  it("must not end late where nothing is amiss", () => {
    const { made } = sleeping(40_000);
    const verdict = new Verdict();
    judgeLateness({ evidence: made.evidence(0), verdict }, 5_000);
    expect(verdict.violations.map(({ promise }) => promise)).toEqual(["liveness"]);
  });

  it("must not end twice, nor without a beginning (G2)", () => {
    const { made, runId } = sleeping(500);
    made.line(0, 3, runId, { kind: "sleepEnded", atMs: 600, stepId: "nap" });
    made.line(0, 3, runId, { kind: "waitTimedOut", atMs: 600, stepId: "other" });
    expect(judgedAlone(made)).toEqual(["G2: nap was settled twice", "G2: other was settled and never began"]);
  });

  it("may begin again after they were given up, not after they ended (G2)", () => {
    const { made, runId } = sleeping(500);
    made.line(0, 3, runId, { kind: "sleepStarted", atMs: 600, stepId: "nap", untilMs: 700 });
    expect(judgedAlone(made)).toEqual(["G2: nap began again after it was settled"]);
  });
});

describe("the end of a run", () => {
  it("is the last of it: no line, no request (G3)", () => {
    const made = new HandMade();
    const runId = made.run(0, 100, { id: "t", data: {}, anchor: HERE });
    made.line(0, 3, runId, { kind: "runCompleted", atMs: 300, data });
    expect(judgedAlone(made)).toEqual([]);
    made.line(0, 4, runId, { kind: "stepCompleted", atMs: 400, stepId: "s", data });
    made.requests.push({
      cause: { offset: toOffset(5), index: 0 },
      body: { runId, invocation: 2 } as StepRequest,
      bytes: data,
    });
    expect(judgedAlone(made)).toEqual(["G3: stepCompleted after runCompleted", "G3: request 2 after runCompleted"]);
  });
});

describe("a cancelling event", () => {
  /** A run on partition 0, from 100 until it ends at `endsAtMs`. */
  function cancelled(k: string, { endsAtMs, rule }: { endsAtMs: number; rule?: CancelRule }) {
    const made = new HandMade();
    made.registered(0, functionOf({ cancelOn: [rule ?? STOP] }));
    const runId = made.run(0, 100, { id: "t", data: { k }, anchor: HERE });
    const end = (): string[] => {
      const offset = made.record(0, endsAtMs, { kind: "tick" });
      made.line(0, offset, runId, { kind: "runCompleted", atMs: endsAtMs, data });
      return made.judged(judgeCancels);
    };
    return { made, end };
  }
  const stop = (k: string) => ({ id: "c", name: "stop", data: { k } });

  it("ends the run, on its own partition at once (G3)", () => {
    const { made, end } = cancelled(HERE, { endsAtMs: 400 });
    made.event(0, 300, stop(HERE));
    expect(end()).toEqual(["G3: c cancels it, but it ended as runCompleted"]);
  });

  it("ends the run, from elsewhere after a while (G3)", () => {
    const { made, end } = cancelled(THERE, { endsAtMs: 2_000_000 });
    made.event(1, 300, stop(THERE));
    expect(end()).toEqual(["G3: c cancels it, but it ended as runCompleted"]);
  });

  it("may come too late from elsewhere", () => {
    const { made, end } = cancelled(THERE, { endsAtMs: 400 });
    made.event(1, 300, stop(THERE));
    expect(end()).toEqual([]);
  });

  it.each([
    ["of another key", stop("other"), STOP],
    ["of the trigger itself", { id: "t", name: "start", data: { k: THERE } }, { ...STOP, event: "start" }],
    ["after the rule's time", stop(THERE), { ...STOP, timeout: { ms: 200 } }],
    ["that its condition excludes", stop(THERE), { ...STOP, match: null, if: "async.data.n > 3" }],
  ])("does not end it if it is one %s", (_, event, rule) => {
    const { made, end } = cancelled(THERE, { endsAtMs: 2_000_000, rule });
    made.event(1, 300, event);
    expect(end()).toEqual([]);
  });
});

describe("runs of one key", () => {
  it("are alive one at a time where their trigger cancels (G4)", () => {
    const made = new HandMade();
    made.registered(0, functionOf({ cancelOn: [{ ...STOP, event: "start" }] }));
    const first = made.run(0, 100, { id: "t1", data: { k: HERE }, anchor: HERE });
    made.run(0, 200, { id: "t2", data: { k: HERE }, anchor: HERE });
    expect(judgedAlone(made)).toEqual([`G4: run ${first.slice(0, 8)} of the same key is still alive`]);
    made.line(0, 2, first, { kind: "runCancelled", atMs: 200, eventId: "t2", reason: "" });
    expect(judgedAlone(made)).toEqual([]);
  });
});

describe("an acknowledged event", () => {
  it("is in each log in which its sender was told that it is (G6)", () => {
    const made = new HandMade();
    made.event(0, 100, { id: "e", name: "any", data: {} });
    const judge = (partitions: number[]) =>
      made.judged((world, verdict) => {
        judgeAcknowledged(world, [{ eventId: "e", partitions, atMs: 100 }], verdict);
      });
    expect(judge([0])).toEqual([]);
    expect(judge([0, 1])).toEqual(["G6: event e was acknowledged"]);
  });

  const keyed = functionOf({ cancelOn: [STOP] });
  const starts = (made: HandMade): string[] =>
    made.judged((world, verdict) => {
      judgeStarts(world, [FUNCTION_ID], verdict);
    });

  it("starts what it triggers (G6)", () => {
    const made = new HandMade();
    made.registered(0, keyed);
    const offset = made.event(0, 100, { id: "t", name: "start", data: { k: HERE } });
    expect(starts(made)).toEqual([`G6: event t did not start ${FUNCTION_ID}`]);
    made.started(0, offset, 100, { id: "t", anchor: HERE });
    expect(starts(made)).toEqual([]);
  });

  it("starts it on another partition too, where only its home has it (G6)", () => {
    const made = new HandMade();
    made.registered(0, keyed);
    made.registered(1, keyed);
    made.event(0, 5_000, { id: "t", name: "start", data: { k: THERE } });
    expect(starts(made)).toEqual([]); // Nothing tells that partition 1 knew the function by then.
    made.record(1, 2_000, { kind: "tick" });
    made.record(1, 9_000, { kind: "tick" });
    expect(starts(made)).toEqual([`G6: event t did not start ${FUNCTION_ID}`]);
  });

  it("starts it once (G6)", () => {
    const made = new HandMade();
    made.registered(0, keyed);
    made.run(0, 100, { id: "t", data: { k: HERE }, anchor: HERE });
    made.run(0, 3_600_000, { id: "t", data: { k: HERE }, anchor: HERE });
    expect(starts(made)).toEqual([`G6: event t started ${FUNCTION_ID} again, 3599900 ms later`]);
  });
});
