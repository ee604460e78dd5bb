/**
 * Whatever users do, no row, effect or history entry exceeds LIMITS.recordBytesMax: Kafka would refuse it, and its
 * partition would stop (G8). Each bound is met here at its largest input, and measured with the real codec.
 */
import { BadRecordError, decodeInbox, encodeInbox, encodeRow, LIMITS, type InboxRecord } from "@eddy/schemas";
import type { FunctionConfig, StepOp, StepRequest } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { carriedBytes } from "../../src/core/run/state-size.js";
import { cart, review, waitingReview } from "./flows.js";
import { big, MAX_ERROR, Scale, wide } from "./scale.js";
import { failedOp, fn, HOUR, json, Scenario, waitOp } from "./scenario.js";

const { recordBytesMax, stepsPerRunMax, stepIdCharsMax, runRowBytesMax } = LIMITS;

/** Reports one op after the other until the run is over. @returns how the run failed, and after how many. */
function fill(
  s: Scenario,
  request: StepRequest,
  op: (no: number) => StepOp,
  everyNo = 100,
): { name: string; ops: number } {
  const scale = new Scale(s);
  let ops = 0;
  for (; s.runs.length > 0 && ops <= stepsPerRunMax; ops++) {
    s.report(request, [op(ops)], null);
    if (ops % everyNo === 0) scale.expectHonest();
  }
  expect(scale.largest()).toBeLessThanOrEqual(recordBytesMax);
  return { name: s.historyOf("runFailed")[0]?.error.name ?? "", ops };
}

/** A thousand steps of a run are dear, and a machine may be busy. */
const TIMEOUT_MS = 120_000;

describe("a run", { timeout: TIMEOUT_MS }, () => {
  const id = (no: number): string => wide(stepIdCharsMax, no);

  it("fails when its results come to too much, names included", () => {
    const { s, request } = waitingReview();
    const op = (no: number): StepOp => ({ kind: "stepCompleted", stepId: id(no), data: big(40_000) });
    const { name, ops } = fill(s, request, op);
    expect(name).toBe("RunStateTooLargeError");
    expect(ops).toBeGreaterThan(500);
  });

  it("may have seven results of the greatest size with the greatest event, and goes in parts that fit", () => {
    const s = new Scenario([review]);
    const scale = new Scale(s);
    s.apply({ ...s.event("draft/requested", { id: "d1" }), payload: big(LIMITS.eventBytesMax) });
    const data = big(LIMITS.stepResultBytesMax);
    const op = (no: number): StepOp => ({ kind: "stepCompleted", stepId: id(no), data });
    for (let no = 0; no < 7; no++) s.report(s.lastRequest(), [op(no)], null);
    s.declined(s.lastRequest());
    scale.expectHonest();
    expect(s.lastRequest()).toMatchObject({ memoTotal: 7, memo: { length: 7 } });
    s.report(s.lastRequest(), [op(7)], null);
    expect(s.historyOf("runFailed")[0]?.error.name).toBe("RunStateTooLargeError");
  });

  it("fails when the errors of its steps come to too much", () => {
    const { s, request } = waitingReview();
    const op = (no: number): StepOp => ({ ...(failedOp(id(no), false) as object), error: { ...MAX_ERROR } }) as StepOp;
    const { name, ops } = fill(s, request, op, 4);
    expect(name).toBe("RunStateTooLargeError");
    expect(ops).toBe(Math.floor(runRowBytesMax / (2 * 196_608)) + 1);
  });

  it("may have as many open waits as it has steps, and not one more", () => {
    const { s, request } = waitingReview();
    const op = (no: number): StepOp => waitOp(request, id(no), "review/done", "data.id", HOUR);
    expect(fill(s, request, op)).toEqual({ name: "TooManyStepsError", ops: stepsPerRunMax + 1 });
  });

  it("may have as many failed steps as it has steps, and may try them all again, but no others", () => {
    const { s, request } = waitingReview();
    const scale = new Scale(s);
    const ops = Array.from({ length: stepsPerRunMax }, (_, no) => failedOp(id(no)));
    s.report(request, ops);
    s.tick(HOUR);
    scale.expectHonest();
    const again = s.lastRequest();
    expect(again.stepAttempts).toHaveLength(stepsPerRunMax);
    s.report(again, ops.slice(1), null);
    expect(s.runs).toHaveLength(1);
    s.report(again, [failedOp("another")], null);
    expect(s.historyOf("runFailed")[0]?.error.name).toBe("TooManyStepsError");
  });

  it("fails when each attempt tries steps of other names", () => {
    const { s } = waitingReview();
    const scale = new Scale(s);
    let no = 0;
    while (s.runs.length > 0 && no < 2 * stepsPerRunMax) {
      s.report(
        s.lastRequest(),
        Array.from({ length: 100 }, () => failedOp(id(no++))),
      );
      s.tick(HOUR);
      scale.expectHonest();
    }
    expect(s.historyOf("runFailed")[0]?.error.name).toBe("TooManyStepsError");
    expect(no).toBe(stepsPerRunMax + 100);
  });

  it("counts the events that waits took, with their ids", () => {
    // Listens at another key besides, where its end must be told.
    const s = new Scenario([
      { ...review, cancelOn: [{ event: "review/dropped", match: "data.id", if: null, timeout: null }] },
    ]);
    const scale = new Scale(s);
    s.send("draft/requested", { id: "d1" });
    const request = s.lastRequest();
    for (let no = 0; s.runs.length > 0; no++) {
      s.report(s.lastRequest(), [waitOp(request, id(no), "review/done", "data.id", HOUR)]);
      s.apply({ ...s.event("review/done", { id: "d1" }, { id: wide(256, no) }), payload: big(1_000_000) });
      scale.expectHonest();
    }
    expect(s.historyOf("runFailed")[0]?.error.name).toBe("RunStateTooLargeError");
    expect(s.historyOf("waitResolved").length).toBeGreaterThan(30);
  });

  it("may have a match value as long as an event", () => {
    const s = new Scenario([cart]);
    const scale = new Scale(s);
    const value = wide(Math.floor(LIMITS.eventBytesMax / 3) - 100);
    s.send("cart/added", { cart: value });
    s.send("cart/added", { cart: value });
    expect(s.historyOf("runCancelled")).toHaveLength(1);
    scale.expectHonest();
    expect(scale.largest()).toBeGreaterThan(2.9 * LIMITS.eventBytesMax);
  });

  it("does not begin where its event comes with more match values than a row can hold", () => {
    const s = new Scenario([cart]);
    const event = s.event("cart/added", { cart: "c1" });
    s.apply({ ...event, values: [...event.values, ["data.more", `s:${"v".repeat(runRowBytesMax)}`]] });
    expect(s.historyOf("runFailed")[0]?.error.name).toBe("RunStateTooLargeError");
    expect(s.requests).toEqual([]);
    expect(new Scale(s).largest()).toBeLessThanOrEqual(recordBytesMax);
  });

  it("fails when its handler returns too much, though a worker lets it", () => {
    for (const [bytes, kind] of [
      [LIMITS.stepResultBytesMax, "runCompleted"],
      [LIMITS.stepResultBytesMax + 1, "runFailed"],
    ] as const) {
      const { s, request } = waitingReview();
      s.report(request, [], { kind: "returned", data: big(bytes) });
      expect(s.history.at(-1)?.kind).toBe(kind);
      expect(new Scale(s).largest()).toBeLessThanOrEqual(recordBytesMax);
    }
  });

  it("goes whole while all that goes comes to little", () => {
    const { s, request } = waitingReview();
    s.report(request, [{ kind: "stepCompleted", stepId: id(0), data: json("") }], { kind: "suspended" });
    s.tick(HOUR);
    for (let no = 1; s.lastRequest().event !== null; no++) {
      expect(encodeRow("run", s.runs[0] as never).length).toBeLessThan(2 * LIMITS.wholeRequestBytesMax);
      s.report(s.lastRequest(), [{ kind: "sleepRequested", stepId: id(no), until: { ms: 1 } }]);
      s.tick(HOUR);
    }
    expect(carriedBytes(s.runs[0] as never)).toBeGreaterThan(LIMITS.wholeRequestBytesMax);
  });
});

describe("registrations", () => {
  /** A function of the greatest size for its characters; fractions of a millisecond take most bytes. */
  const fat = (no: number): FunctionConfig =>
    fn({
      id: `f${no}`,
      name: wide(256, no),
      triggers: Array.from({ length: LIMITS.triggersPerFunctionMax }, (_, i) => ({ event: wide(256, i) })),
      cancelOn: Array.from({ length: LIMITS.cancelRulesPerFunctionMax }, (_, i) => ({
        ...{ event: wide(256, i), match: "a", timeout: { ms: 0.1 } },
      })),
      waits: Array.from({ length: LIMITS.waitsPerFunctionMax }, (_, i) => ({
        event: wide(256, no * 50 + i),
        match: "a",
      })),
    });
  const register = (s: Scenario, app: string, functions: FunctionConfig[]): void => {
    s.apply({ kind: "register", config: { app, functions }, settleMs: 0 });
  };

  it("are refused when all apps would outgrow their row", () => {
    const s = new Scenario([]);
    const scale = new Scale(s);
    const functions = Array.from({ length: 50 }, (_, no) => fat(no));
    let apps = 0;
    while (s.rejections.length === 0 && apps < 20) {
      register(s, `app${apps++}`, functions);
    }
    expect(s.rejections).toEqual(["REGISTRY_FULL"]);
    const published = s.effects.flatMap((effect) => (effect.kind === "PublishRegistry" ? [effect.key] : []));
    expect(published.filter((key) => key.startsWith("app/"))).toHaveLength(apps - 1);
    expect(scale.largest()).toBeLessThanOrEqual(recordBytesMax);
    expect(scale.largest()).toBeGreaterThan(LIMITS.registryBytesMax / 3);
  });

  it("are refused likewise for what former ones of an app have left", () => {
    const s = new Scenario([]);
    const scale = new Scale(s);
    for (let n = 0; n < 8; n++) {
      for (const app of ["a", "b", "c", "d"])
        register(
          s,
          app,
          Array.from({ length: 12 }, (_, no) => fat(n * 12 + no)),
        );
      expect(scale.largest()).toBeLessThanOrEqual(recordBytesMax);
    }
    expect(s.rejections).toContain("REGISTRY_FULL");
  });

  it("are heard from inbox 0 alone, and the marks of other partitions are bounded by their number", () => {
    const s = new Scenario([cart], { partition: 0, partitions: 2 });
    const config = {
      app: "other",
      version: 9,
      digest: "",
      functions: [],
      anchors: [],
      learned: [],
      retired: [],
      former: [],
    };
    const registered = { kind: "registered" as const, config, news: [], settleMs: 0 };
    s.apply({ ...registered, source: { partition: 1, offset: 9, index: 0 } });
    s.apply({ ...registered, source: { partition: 7, offset: 9, index: 0 } });
    expect(s.rejections).toEqual(["NOT_INBOX_ZERO", "MISDIRECTED"]);
    expect([...s.world.rows.keys()].filter((key) => key.startsWith("k|"))).toEqual(["k|0000", "k|0001"]);
  });

  it("that did not come through inbox 0's check are refused too", () => {
    const s = new Scenario([cart]);
    const functions = Array.from({ length: 200 }, (_, no) => fat(no));
    const config = {
      app: "other",
      version: 9,
      digest: "",
      functions,
      anchors: [],
      learned: [],
      retired: [],
      former: [],
    };
    s.apply({ kind: "registered", config, news: [], settleMs: 0, source: { partition: 0, offset: 9, index: 0 } });
    expect(s.rejections).toEqual(["REGISTRY_FULL"]);
    expect(new Scale(s).largest()).toBeLessThanOrEqual(recordBytesMax);
  });
});

describe("a partition", () => {
  it("keeps as many events as it may for a run, each in a row of its own", () => {
    const { s } = waitingReview();
    const scale = new Scale(s);
    s.apply({ ...s.event("review/done", { id: "d1" }), payload: big(LIMITS.eventBytesMax) });
    for (let no = 1; no < LIMITS.keptEventsMax; no++) s.send("review/done", { id: "d1" }, { id: wide(256, no) });
    expect(s.runs).toHaveLength(1);
    expect([...s.world.rows.keys()].filter((key) => key.startsWith("e|"))).toHaveLength(LIMITS.keptEventsMax);
    expect(scale.largest()).toBeLessThan(LIMITS.eventBytesMax + 1_024);
  });

  it("takes as many runs at one key as it may, in chunks", () => {
    const s = new Scenario([review]);
    const scale = new Scale(s);
    for (let no = 0; no < 200; no++) s.send("draft/requested", { id: "d1" }, { id: wide(256, no) });
    expect(scale.largest()).toBeLessThan(LIMITS.idsPerChunkMax * 1_024);
  });

  it("remembers an event at more keys than one chunk of ids holds", () => {
    const path = (no: number): string => `data.k${no}`;
    const waits = (f: number) => Array.from({ length: 50 }, (_, i) => ({ event: "x", match: path(f * 50 + i) }));
    const s = new Scenario(Array.from({ length: 12 }, (_, f) => fn({ id: `f${f}`, waits: waits(f) })));
    const data = Object.fromEntries(Array.from({ length: 600 }, (_, no) => [`k${no}`, true]));
    s.send("x", data, { id: wide(256) });
    s.send("x", data, { id: wide(256) });
    expect(s.rejections).toEqual(["DUPLICATE_EVENT"]);
    expect(new Scale(s).largest()).toBeLessThan(LIMITS.idsPerChunkMax * 1_024);
  });

  it("bounds the deliveries of an app, and gives every request its lease all the same", () => {
    const { s } = waitingReview();
    for (let no = 0; no < 2 * LIMITS.sweepsPerAppMax; no++) {
      s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset, index: 0 } }, no === 0 ? 1 : 0);
    }
    expect(s.world.get("d|shop" as never)).toMatchObject({ sweeps: { length: LIMITS.sweepsPerAppMax } });
    expect(new Scale(s).largest()).toBeLessThan(LIMITS.sweepsPerAppMax * 128);
    s.send("draft/requested", { id: "d2" }, { afterMs: 0 });
    s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset, index: 0 } });
    s.tick(HOUR);
    expect(s.historyOf("runDispatched").filter(({ reason }) => reason === "leaseLost")).toHaveLength(2);
  });

  it("tells of a cancel with the longest reason", () => {
    const { s } = waitingReview();
    const runId = s.runs[0]?.runId ?? "";
    s.apply({ kind: "cancel", runId, reason: wide(LIMITS.cancelReasonCharsMax) });
    expect(s.historyOf("runCancelled")).toHaveLength(1);
    expect(new Scale(s).largest()).toBeLessThan(8_192);
  });
});

describe("the door of the inbox", () => {
  const event = { ...new Scenario([]).event("x", {}), values: [] };
  const bounded: readonly (readonly [what: string, most: InboxRecord, more: InboxRecord])[] = [
    [
      "an event",
      { ...event, payload: big(LIMITS.eventBytesMax) },
      { ...event, payload: big(LIMITS.eventBytesMax + 1) },
    ],
    ["an event's id", { ...event, id: wide(256) }, { ...event, id: wide(257) }],
    ["an event's name", { ...event, name: wide(256) }, { ...event, name: wide(257) }],
    [
      "a reason",
      { kind: "cancel", runId: "r", reason: wide(LIMITS.cancelReasonCharsMax) },
      { kind: "cancel", runId: "r", reason: wide(LIMITS.cancelReasonCharsMax + 1) },
    ],
    [
      "a run id",
      { kind: "declined", runId: wide(64), invocation: 1 },
      { kind: "declined", runId: wide(65), invocation: 1 },
    ],
    [
      "an app",
      { kind: "delivered", app: wide(128), mark: { offset: 0, index: 0 } },
      { kind: "delivered", app: wide(129), mark: { offset: 0, index: 0 } },
    ],
  ];

  it.each(bounded)("takes %s up to its bound, and dead-letters what is longer", (_, most, more) => {
    const bytes = encodeInbox(most);
    expect(Buffer.compare(encodeInbox(decodeInbox(bytes)), bytes)).toBe(0);
    expect(() => decodeInbox(encodeInbox(more))).toThrow(BadRecordError);
  });
});

it("has bounds that leave room below the one of a record", () => {
  expect(recordBytesMax).toBeLessThan(6 * 1_048_576 - 1_024);
  const { registryBytesMax, requestPartBytesMax, stepResultBytesMax } = LIMITS;
  for (const bound of [runRowBytesMax, registryBytesMax, requestPartBytesMax, stepResultBytesMax]) {
    expect(bound).toBeLessThan(recordBytesMax - 65_536);
  }
});
