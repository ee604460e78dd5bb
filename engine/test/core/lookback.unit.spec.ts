/** Events that come before the wait that wants them. */
import { LIMITS } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { Cluster } from "./cluster.js";
import { waitingReview } from "./flows.js";
import { completed, failedOp, fn, HOUR, parsed, Scenario, waitOp } from "./scenario.js";

describe("lookback (G9)", () => {
  it("gives a reply that came while the step before the wait was still running", () => {
    const { s, request } = waitingReview();
    const reply = s.send("review/done", { id: "d1", approved: true });
    s.report(request, [completed("request"), waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: reply, fromLookback: true }]);
    const next = s.lastRequest();
    expect(next.invocation).toBe(2);
    expect(parsed(next.memo.at(-1)?.data ?? null)).toMatchObject({ data: { approved: true } });
  });

  it("gives a reply that a failed attempt had caused, after the retry", () => {
    const { s, request } = waitingReview();
    s.report(request, [failedOp("request")]);
    s.send("review/done", { id: "d1" });
    s.tick(60_000);
    const retry = s.lastRequest();
    expect(retry).toMatchObject({ invocation: 2, stepAttempts: [["request", 1]] });
    s.report(retry, [completed("request"), waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved")).toHaveLength(1);
  });

  it("does not give an event from before the end of a sleep", () => {
    const { s, request } = waitingReview();
    s.send("review/done", { id: "d1" });
    s.report(request, [{ kind: "sleepRequested", stepId: "week", until: { ms: 168 * HOUR } }]);
    s.tick(168 * HOUR);
    s.report(s.lastRequest(), [waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved")).toHaveLength(0);
  });

  it("gives each event to one wait of a run, in log order", () => {
    const { s, request } = waitingReview();
    const first = s.send("review/done", { id: "d1", n: 1 });
    const second = s.send("review/done", { id: "d1", n: 2 });
    s.report(request, [waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    s.report(s.lastRequest(), [waitOp(request, "wait:1", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved").map((e) => e.eventId)).toEqual([first, second]);
  });

  it("is not satisfied by the trigger itself, even where a function waits for its own trigger", () => {
    const self = fn({ id: "self", waits: [{ event: "cart/added", match: "data.cart" }] });
    const s = new Scenario([self]);
    s.send("cart/added", { cart: "c1" });
    const request = s.lastRequest();
    s.report(request, [waitOp(request, "wait", "cart/added", "data.cart", HOUR)]);
    expect(s.historyOf("waitResolved")).toHaveLength(0);
    const second = s.send("cart/added", { cart: "c1" });
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: second }]);
    expect(s.runs).toHaveLength(2);
  });

  const keptRows = (s: Scenario): string[] => [...s.world.rows.keys()].filter((key) => key.startsWith("e|"));

  it("fails the wait that would need what had to give way, not the run that waits for nothing of it (G11)", () => {
    const { s, request } = waitingReview();
    for (let i = 0; i <= LIMITS.keptEventsMax; i++) s.send("review/done", { id: "d1", i }, { afterMs: 0 });
    expect(keptRows(s)).toHaveLength(LIMITS.keptEventsMax);
    s.report(request, [completed("a")], null);
    expect(s.runs).toHaveLength(1);
    s.report(request, [waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("runFailed")).toMatchObject([{ error: { name: "KeptEventsOverflowError" } }]);
    expect([...s.world.rows.keys()].filter((k) => /^[rse]\|/.test(k))).toEqual([]);
  });

  it("keeps no more bytes than the bound allows", () => {
    const { s, request } = waitingReview();
    const most = LIMITS.keptBytesMax / LIMITS.eventBytesMax;
    const payload = new Uint8Array(LIMITS.eventBytesMax);
    for (let i = 0; i < most; i++) s.apply({ ...s.event("review/done", { id: "d1" }), payload });
    expect(keptRows(s)).toHaveLength(most);
    s.send("review/done", { id: "d1" });
    expect(keptRows(s)).toHaveLength(most);
    s.report(request, [waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("runFailed")).toMatchObject([{ error: { name: "KeptEventsOverflowError" } }]);
  });

  it("gives a wait what is left where all that gave way lies before its mark", () => {
    const { s, request } = waitingReview();
    for (let i = 0; i <= LIMITS.keptEventsMax; i++) s.send("review/done", { id: "d1", i }, { afterMs: 0 });
    s.report(request, [{ kind: "sleepRequested", stepId: "nap", until: { ms: HOUR } }]);
    s.tick(HOUR);
    const eventId = s.send("review/done", { id: "d1" });
    s.report(s.lastRequest(), [waitOp(request, "wait", "review/done", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId }]);
  });

  it("keeps nothing for a run that only waits for something else", () => {
    const both = fn({
      id: "both",
      triggers: [{ event: "draft/requested" }],
      waits: [
        { event: "a", match: "data.id" },
        { event: "b", match: "data.id" },
      ],
    });
    const s = new Scenario([both]);
    s.send("draft/requested", { id: "d1" });
    const request = s.lastRequest();
    s.report(request, [waitOp(request, "wa", "a", "data.id", HOUR)]);
    s.send("b", { id: "d1" });
    expect([...s.world.rows.keys()].filter((k) => k.startsWith("e|"))).toHaveLength(0);
  });

  it("reads what was sent twice once, also when its id is forgotten by now (G6)", () => {
    const { s, request } = waitingReview();
    const sent = { ...s.event("undeclared", { id: "d1" }), id: "twice", idFrom: "generated" as const };
    s.apply(sent);
    s.apply(sent);
    expect(s.rejections).toEqual(["DUPLICATE_EVENT"]);
    s.apply({ kind: "advance", ms: HOUR });
    s.report(request, [waitOp(request, "wait", "undeclared", "data.id", HOUR)]);
    expect(s.historyOf("waitResolved")).toMatchObject([{ eventId: "twice" }]);
    expect(keptRows(s)).toHaveLength(1);
  });

  it("gives a wait what came behind the event that a wait by a new route got late", () => {
    const c = new Cluster(1);
    c.register([fn({ id: "both", triggers: [{ event: "begun" }], waits: [{ event: "b", match: "data.id" }] })]);
    c.deliver();
    c.send("begun", { id: "d1", far: "x" });
    const request = c.request();
    // Nobody has declared it: its route is learned. Meanwhile its event comes from a sender that does not know the way.
    c.report(request, [waitOp(request, "first", "a", "data.far", HOUR)]);
    c.send("a", { far: "x" }, { id: "late", stale: true });
    c.send("b", { id: "d1" }, { id: "behind" });
    c.deliver();
    expect(c.of("waitResolved")).toMatchObject([{ stepId: "first", eventId: "late" }]);
    c.report(c.request(), [waitOp(request, "second", "b", "data.id", HOUR)]);
    expect(c.of("waitResolved").at(-1)).toMatchObject({ stepId: "second", eventId: "behind" });
  });
});
