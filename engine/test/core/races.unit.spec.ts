/** Parallel branches and races: where the mark stays, what is given up and what is given back, from where on events count. */
import type { StepOp, StepRequest } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { waitingReview } from "./flows.js";
import { completed, done, failedOp, fn, HOUR, Scenario, waitOp, type GivenWait } from "./scenario.js";

const nap = (stepId: string, ms: number): StepOp => ({ kind: "sleepRequested", stepId, until: { ms } });
const withdrawn = (stepId: string): StepOp => ({ kind: "withdrawn", stepId });
const done1 = (request: StepRequest, stepId: string, given: GivenWait | string = "data.id"): StepOp =>
  waitOp(request, stepId, "review/done", given, HOUR);

describe("the mark", () => {
  it("stays while another branch runs a step, so that what the step caused is there for that branch (G9)", () => {
    const { s, request } = waitingReview();
    s.report(request, [nap("nap", 1_000)], null);
    const reply = s.send("review/done", { id: "d1" });
    s.tick(2_000); // The nap ends, and the other branch's step still runs.
    expect(s.historyOf("sleepEnded")).toHaveLength(1);
    s.report(request, [completed("ask"), done1(request, "answer")]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ stepId: "answer", eventId: reply }]);
  });

  it("does not make a sleep win that ends while a step runs: the step's result is told first", () => {
    const { s, request } = waitingReview();
    s.report(request, [nap("nap", 1_000)], null);
    s.tick(2_000);
    expect(s.requests).toHaveLength(1);
    s.report(request, [completed("slow")]);
    expect(s.lastRequest().memo.map(({ stepId }) => stepId)).toEqual(["slow", "nap"]);
  });

  it("stays while a failed step is to be tried again", () => {
    const { s, request } = waitingReview();
    s.report(request, [failedOp("ask"), nap("nap", 1_000)]);
    const reply = s.send("review/done", { id: "d1" });
    s.tick(2_000);
    s.report(s.lastRequest(), []);
    s.tick(60_000);
    s.report(s.lastRequest(), [completed("ask"), done1(request, "answer")]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: reply }]);
  });

  it("moves once the run only waits: what came before is for no later wait", () => {
    const { s, request } = waitingReview();
    s.report(request, [nap("nap", 1_000)], null);
    s.send("review/done", { id: "d1" });
    s.tick(5_000);
    s.report(request, [nap("again", 1_000)]);
    expect(s.runs[0]?.laterMarks).toEqual([]);
    s.tick(1_000);
    s.report(s.lastRequest(), [done1(request, "answer")]);
    expect(s.historyOf("waitResolved")).toEqual([]);
  });
});

describe("a race", () => {
  it("leaves an event to the next wait where the wait that lost had not got it", () => {
    const { s, request } = waitingReview();
    s.report(request, [done1(request, "w"), nap("nap", 1_000)]);
    s.tick(1_000);
    s.report(s.lastRequest(), [withdrawn("w"), completed("x")], null);
    expect(s.historyOf("stepWithdrawn")).toMatchObject([{ stepId: "w" }]);
    const event = s.send("review/done", { id: "d1" });
    expect(s.historyOf("waitResolved")).toEqual([]);
    s.report(s.lastRequest(), [done1(request, "next")]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ stepId: "next", eventId: event }]);
  });

  it("gives back the event that the losing wait got after its handler had decided", () => {
    const { s, request } = waitingReview();
    s.report(request, [done1(request, "w")], null);
    const event = s.send("review/done", { id: "d1" });
    expect(s.historyOf("waitResolved")).toMatchObject([{ stepId: "w" }]);
    s.report(request, [completed("step"), withdrawn("w"), done1(request, "next")]);
    expect(s.historyOf("waitResolved").slice(1)).toMatchObject([{ stepId: "next", eventId: event }]);
    expect(s.runs[0]?.memo.map(({ stepId }) => stepId)).toEqual(["step", "next"]);
    expect(s.runs[0]?.taken).toEqual([[event, "next"]]);
  });

  it("takes nothing back that an earlier request had told the handler", () => {
    const { s, request } = waitingReview();
    s.report(request, [done1(request, "w")]);
    s.send("review/done", { id: "d1" });
    s.report(s.lastRequest(), [withdrawn("w"), completed("x")], null);
    expect(s.historyOf("stepWithdrawn")).toEqual([]);
    expect(s.runs[0]?.memo.map(({ stepId }) => stepId)).toEqual(["w", "x"]);
  });

  it("tells the next request what was given up, until it is asked for again, which begins anew", () => {
    const { s, request } = waitingReview();
    s.report(request, [done1(request, "w"), nap("nap", 1_000)]);
    s.tick(1_000);
    s.report(s.lastRequest(), [withdrawn("w"), nap("nap2", 1_000)]);
    s.tick(1_000);
    expect(s.lastRequest().withdrawn).toEqual(["w"]);
    s.report(s.lastRequest(), [done1(request, "w"), nap("nap3", 1_000)]);
    s.tick(1_000);
    expect(s.lastRequest()).toMatchObject({ withdrawn: [], pending: ["w"] });
    const deadlines = s.historyOf("waitStarted").map(({ untilMs }) => untilMs);
    expect(deadlines).toHaveLength(2);
    s.tick(HOUR);
    expect(s.historyOf("waitTimedOut")).toHaveLength(1);
  });

  it("lost by a step that is not open, or by a step to be tried again, changes nothing", () => {
    const { s, request } = waitingReview();
    s.report(request, [failedOp("retry"), withdrawn("retry"), withdrawn("never")]);
    expect(s.runs[0]).toMatchObject({ withdrawn: [], pending: [{ kind: "retry" }] });
  });

  it("counts what was given up among the steps of the run", () => {
    const { s, request } = waitingReview();
    const ops = Array.from({ length: 1_000 }, (_, i) => [nap(`n${i}`, HOUR), withdrawn(`n${i}`)]).flat();
    s.report(request, ops, null);
    expect(s.runs).toHaveLength(1);
    s.report(request, [nap("n0", HOUR)], null); // One of them again.
    expect(s.runs).toHaveLength(1);
    s.report(request, [nap("more", HOUR)], null);
    expect(s.historyOf("runFailed")).toMatchObject([{ error: { name: "TooManyStepsError" } }]);
  });
});

describe("since", () => {
  const declared = fn({
    id: "since",
    triggers: [{ event: "draft/requested" }],
    waits: [{ event: "review/done", match: "data.id", since: "trigger" }],
  });

  it("trigger: a wait gets what came since the run began, whatever it has slept or waited", () => {
    const s = new Scenario([declared]);
    s.send("draft/requested", { id: "d1" });
    const request = s.lastRequest();
    s.report(request, [nap("nap", HOUR)]);
    const event = s.send("review/done", { id: "d1" });
    s.tick(HOUR);
    s.report(s.lastRequest(), [done1(request, "w", { match: "data.id", since: "trigger" })]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: event, fromLookback: true }]);
    s.report(s.lastRequest(), [done1(request, "w2", { match: "data.id" })]);
    expect(s.historyOf("waitResolved")).toHaveLength(1);
    s.report(s.lastRequest(), [], done());
  });

  it("trigger: without a declaration it is good for the first wait alone", () => {
    const { s, request } = waitingReview();
    const event = s.send("review/done", { id: "d1" });
    s.report(request, [done1(request, "w", { match: "data.id", since: "trigger" })]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: event }]);
  });

  it("registration: only what comes after the wait counts", () => {
    const { s, request } = waitingReview();
    s.send("review/done", { id: "d1" });
    s.report(request, [done1(request, "w", { match: "data.id", since: "registration" })]);
    expect(s.historyOf("waitResolved")).toEqual([]);
    const event = s.send("review/done", { id: "d1" });
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: event, fromLookback: false }]);
  });
});

describe("two lives of one event id", () => {
  it("are two runs of one base, and neither hears what is said to the other", () => {
    const { s, request } = waitingReview();
    const { id = "", name = "" } = s.runs[0]?.event ?? {};
    s.report(request, [], done());
    s.apply({ kind: "advance", ms: 25 * HOUR });
    s.send(name, { id: "d1" }, { id });
    const second = s.lastRequest();
    expect(second.runId.slice(0, 29)).toBe(request.runId.slice(0, 29));
    expect(second.runId).not.toBe(request.runId);
    s.report(request, [], done());
    s.apply({ kind: "cancel", runId: request.runId, reason: "asked" });
    s.declined(request);
    s.apply({ kind: "heartbeat", app: "shop", running: [request] });
    expect(s.rejections).toEqual(["RUN_FINISHED", "RUN_FINISHED", "STALE_INVOCATION"]);
    expect(s.runs).toMatchObject([{ runId: second.runId, invocation: { no: 1, leaseUntilMs: null } }]);
  });

  it("do not overlap: while one lives, the event starts no other at any age (G6)", () => {
    const { s } = waitingReview();
    const { id = "", name = "" } = s.runs[0]?.event ?? {};
    s.apply({ kind: "advance", ms: 25 * HOUR });
    s.send(name, { id: "d1" }, { id });
    expect(s.rejections).toEqual(["DUPLICATE_RUN"]);
    expect(s.runs).toHaveLength(1);
  });
});
