/** Waits over two partitions: what the judge must find, and what it must let pass (G1, G2, G9). */
import { describe, expect, it } from "vitest";
import { HandMade, keyOn, waitFor } from "./hand-made.js";
import { judgeWaits } from "./waits.js";

const [HERE, THERE] = [keyOn(0), keyOn(1)];

/** A run on partition 0 that waits from 200 to 1,200 for a reply with the value `k`. */
function waiting(k: string, change: Parameters<typeof waitFor>[0] = {}) {
  const made = new HandMade();
  const runId = made.run(0, 100, { id: "t", data: { k, n: 1 }, anchor: HERE });
  const asked = made.report(0, 200, runId, waitFor({ value: `s:${k}`, ...change }));
  made.line(0, asked, runId, { kind: "waitStarted", atMs: 200, stepId: "wait", eventName: "reply", untilMs: 1_200 });
  const timeOut = (atMs = 1_300): void => {
    made.record(1, atMs, { kind: "tick" });
    const offset = made.record(0, atMs, { kind: "tick" });
    made.line(0, offset, runId, { kind: "waitTimedOut", atMs, stepId: "wait" });
  };
  const resolve = (eventId: string, atMs = 700): void => {
    const offset = made.record(0, atMs, { kind: "tick" });
    made.line(0, offset, runId, { kind: "waitResolved", atMs, stepId: "wait", eventId, fromLookback: false });
  };
  return { made, runId, timeOut, resolve, judged: () => made.judged(judgeWaits) };
}

const reply = (k: unknown, id = "r") => ({ id, name: "reply", data: { k } });

describe("a wait that timed out", () => {
  it.each([HERE, THERE])("may do so without an event: %s", (k) => {
    const { made, timeOut, judged } = waiting(k);
    made.event(0, 300, reply("other"));
    made.event(0, 310, { ...reply(k), id: "s", name: "another" });
    timeOut();
    expect(judged()).toEqual([]);
  });

  it("missed an event of its own partition (G1)", () => {
    const { made, timeOut, judged } = waiting(HERE);
    made.event(0, 300, reply(HERE));
    timeOut();
    expect(judged()).toEqual([expect.stringMatching(/^G1: wait timed out, though r was logged in time/)]);
  });

  it("missed an event of another partition (G1)", () => {
    const { made, timeOut, judged } = waiting(THERE);
    made.event(1, 300, reply(THERE));
    timeOut();
    expect(judged()).toEqual([expect.stringMatching(/^G1: wait timed out, though r was logged in time/)]);
  });

  it("missed an event that a sender with old routes left at home (G1)", () => {
    const { made, timeOut, judged } = waiting(THERE);
    made.event(0, 300, reply(THERE));
    timeOut();
    expect(judged()).toEqual([expect.stringMatching(/^G1: wait timed out, though r/)]);
  });

  it("missed what its own step had sent before it was asked for (G9)", () => {
    const { made, runId, timeOut, judged } = waiting(THERE);
    made.event(1, 150, reply(THERE, `${runId}/send/0`));
    timeOut();
    expect(judged()).toEqual([expect.stringMatching(/^G9: wait timed out/)]);
  });

  it.each([
    ["came at the deadline", 1_200, THERE, "r"],
    ["came before the run", 50, THERE, "r"],
    ["is what started the run", 100, THERE, "t"],
  ])("need not have had an event that %s", (_, atMs, k, id) => {
    const { made, timeOut, judged } = waiting(THERE);
    made.event(1, atMs, { ...reply(k, id), name: id === "t" ? "start" : "reply" });
    timeOut();
    expect(judged()).toEqual([]);
  });

  it("need not have had what another wait of the run took, nor what came before the end of the last", () => {
    const { made, runId, timeOut, judged } = waiting(THERE);
    made.event(1, 300, reply(THERE));
    made.line(0, 1, runId, { kind: "waitStarted", atMs: 200, stepId: "w2", eventName: "reply", untilMs: 1_200 });
    const offset = made.record(0, 400, { kind: "tick" });
    made.line(0, offset, runId, { kind: "waitResolved", atMs: 400, stepId: "w2", eventId: "r", fromLookback: false });
    timeOut();
    expect(judged()).toEqual([]);
  });

  it("has its residual condition and its since asked", () => {
    const condition = "async.data.k == event.data.k && async.data.n > 3";
    const no = waiting(THERE, { match: null, if: condition });
    no.made.event(1, 300, { id: "r", name: "reply", data: { k: THERE, n: 3 } });
    no.timeOut();
    expect(no.judged()).toEqual([]);
    const yes = waiting(THERE, { match: null, if: condition });
    yes.made.event(1, 300, { id: "r", name: "reply", data: { k: THERE, n: 4 } });
    yes.timeOut();
    expect(yes.judged()).toHaveLength(1);
    const later = waiting(THERE, { since: "registration" });
    later.made.event(1, 150, reply(THERE));
    later.timeOut();
    expect(later.judged()).toEqual([]);
  });

  it.each([HERE, THERE])("must not do so before its partition came to the deadline (G1): %s", (k) => {
    const { timeOut, judged } = waiting(k);
    timeOut(1_199);
    expect(judged()).toEqual([expect.stringMatching(/^G1: wait timed out (at|before)/)]);
  });
});

describe("a wait that was resolved", () => {
  it("got an event that matches, in time", () => {
    const { made, resolve, judged } = waiting(THERE);
    made.event(1, 300, reply(THERE));
    resolve("r");
    expect(judged()).toEqual([]);
  });

  it.each([
    ["nobody wrote", "x", "no sender wrote it"],
    ["does not match", "r", "it does not match"],
    ["came too late", "late", "it came at 1200, the deadline was 1200"],
  ])("must not get one that %s (G2)", (_, id, problem) => {
    const { made, resolve, judged } = waiting(THERE);
    made.event(1, 300, reply("other"));
    made.event(1, 1_200, reply(THERE, "late"));
    resolve(id, 1_250);
    expect(judged()).toEqual([expect.stringContaining(problem)]);
  });

  it("must not get one from long before its run (G2)", () => {
    const made = new HandMade();
    made.event(0, 100, reply(HERE));
    const runId = made.run(0, 5_000, { id: "t", data: { k: HERE }, anchor: HERE });
    const asked = made.report(0, 5_100, runId, waitFor({ value: `s:${HERE}` }));
    made.line(0, asked, runId, {
      kind: "waitStarted",
      atMs: 5_100,
      stepId: "wait",
      eventName: "reply",
      untilMs: 6_100,
    });
    made.line(0, asked, runId, { kind: "waitResolved", atMs: 5_100, stepId: "wait", eventId: "r", fromLookback: true });
    expect(made.judged(judgeWaits)).toEqual([expect.stringContaining("it came before the run")]);
  });
});
