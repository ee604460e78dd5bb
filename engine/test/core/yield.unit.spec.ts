/** An invocation that ends although its handler could go on: strict functions, after each step. */
import { describe, expect, it } from "vitest";
import { review, waitingReview } from "./flows.js";
import { completed, done, failedOp, HOUR, Scenario, waitOp } from "./scenario.js";

const YIELDED = { kind: "yielded" } as const;

describe("yielded", () => {
  it("dispatches the run again at once, with what the worker cannot know", () => {
    const { s, request } = waitingReview();
    s.report(request, [completed("a")], YIELDED);
    expect(s.lastRequest()).toMatchObject({ invocation: 2, memoTotal: 1, stepAttempts: [] });
    expect(s.historyOf("runDispatched").at(-1)).toMatchObject({ invocation: 2, reason: "resume" });
    s.report(s.lastRequest(), [completed("b")], YIELDED);
    s.report(s.lastRequest(), [], done("end"));
    expect(s.historyOf("runCompleted")).toHaveLength(1);
  });

  it("dispatches nothing where the run was cancelled before the report (G3)", () => {
    const { s, request } = waitingReview();
    s.apply({ kind: "cancel", runId: request.runId, reason: "user" });
    const before = s.requests.length;
    s.report(request, [completed("a")], YIELDED);
    expect(s.requests).toHaveLength(before);
    expect(s.rejections).toEqual(["RUN_FINISHED"]);
  });

  it("leaves a failed parallel step its next attempt, and does not ask for it before", () => {
    const { s, request } = waitingReview();
    s.report(request, [failedOp("flaky"), completed("a")], YIELDED);
    expect(s.lastRequest()).toMatchObject({ invocation: 2, pending: ["flaky"], stepAttempts: [["flaky", 1]] });
    s.tick(HOUR);
    expect(s.requests).toHaveLength(2);
    s.report(s.lastRequest(), [completed("b")], YIELDED);
    expect(s.lastRequest()).toMatchObject({ invocation: 3, pending: [], stepAttempts: [["flaky", 1]] });
  });

  it("waits where the invocation has got nowhere, lest it is dispatched again and again", () => {
    const { s, request } = waitingReview();
    s.report(request, [failedOp("flaky")], YIELDED);
    expect(s.requests).toHaveLength(1);
    s.tick(HOUR);
    expect(s.lastRequest()).toMatchObject({ invocation: 2, stepAttempts: [["flaky", 1]] });
    s.report(s.lastRequest(), [], YIELDED);
    expect(s.historyOf("attemptFailed").at(-1)?.error.name).toBe("NothingToWaitForError");
  });

  it("does not move the mark: an event that a step before the last caused is not missed (G9)", () => {
    const s = new Scenario([review]);
    s.send("draft/requested", { id: "d1" });
    const nap = { kind: "sleepRequested" as const, stepId: "nap", until: { ms: 10 } };
    s.report(s.lastRequest(), [completed("request"), nap], null);
    s.send("review/done", { id: "d1" }, { id: "reply" });
    s.tick(10); // The nap is over while the run executes: the mark that it moves to is postponed.
    s.report(s.lastRequest(), [], YIELDED);
    s.report(s.lastRequest(), [waitOp({ data: { id: "d1" } }, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ stepId: "wait", eventId: "reply" }]);
  });
});
