/** Random scripts over the core: what must hold after every record, whatever came before. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LEASE_MS, type StepRequest } from "@eddy/schemas";
import { core } from "../../src/core/core.js";
import { expectDerivedIndexes } from "./derived.js";
import { completed, done, failedOp, fn, HOUR, Scenario, waitOp } from "./scenario.js";
import "./replay.js";

const functions = [
  fn({
    id: "cart",
    triggers: [{ event: "added" }],
    cancelOn: [{ event: "added", match: "data.k", timeout: { ms: 24 * HOUR } }],
    waits: [{ event: "bought", match: "data.k" }],
  }),
  fn({ id: "ask", triggers: [{ event: "asked" }], waits: [{ event: "answered", match: "data.k" }], retries: 1 }),
];

const key = fc.constantFrom("a", "b");
const after = fc.constantFrom(0, 1, 1_000, LEASE_MS, HOUR, 25 * HOUR);
const action = fc.oneof(
  fc.record({
    do: fc.constant("send" as const),
    name: fc.constantFrom("added", "bought", "asked", "answered"),
    key,
    after,
  }),
  fc.record({ do: fc.constant("repeat" as const), id: fc.constantFrom("u1", "u2"), key, after }),
  fc.record({
    do: fc.constant("report" as const),
    what: fc.constantFrom("step", "wait", "sleep", "fail", "return", "throw"),
    which: fc.nat(5),
    after,
  }),
  fc.record({ do: fc.constant("declined" as const), which: fc.nat(5) }),
  fc.record({ do: fc.constant("delivered" as const), after }),
  fc.record({ do: fc.constant("heartbeat" as const), after }),
  fc.record({ do: fc.constant("advance" as const), after }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

function report(s: Scenario, request: StepRequest, what: string, after: number): void {
  const run = s.runs.find((r) => r.runId === request.runId);
  const trigger = { data: { k: run?.event.values.find(([path]) => path === "data.k")?.[1].slice(2) } };
  const name = request.functionId.endsWith("cart") ? "bought" : "answered";
  const id = `s${request.invocation}`;
  const error = { name: "Error", message: "x", stack: null };
  switch (what) {
    case "step":
      return s.report(request, [completed(id)], null, after);
    case "wait":
      return s.report(request, [waitOp(trigger, id, name, "data.k", 5 * HOUR)], undefined, after);
    case "sleep":
      return s.report(request, [{ kind: "sleepRequested", stepId: id, until: { ms: HOUR } }], undefined, after);
    case "fail":
      return s.report(request, [failedOp(id)], undefined, after);
    case "throw":
      return s.report(request, [], { kind: "threw", error, retriable: true, retryAfter: null }, after);
    default:
      return s.report(request, [], done(), after);
  }
}

function act(s: Scenario, a: Action): void {
  switch (a.do) {
    case "send":
      s.send(a.name, { k: a.key }, { afterMs: a.after });
      return;
    case "repeat":
      s.send("added", { k: a.key }, { id: a.id, afterMs: a.after });
      return;
    case "report": {
      const request = s.requests.at(-1 - a.which);
      if (request !== undefined) report(s, request, a.what, a.after);
      return;
    }
    case "declined": {
      const request = s.requests.at(-1 - a.which);
      if (request !== undefined) s.declined(request);
      return;
    }
    case "delivered":
      s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset, index: 99 } }, a.after);
      return;
    case "heartbeat": {
      const running = s.runs.map(({ runId, invocation }) => ({ runId, invocation: Math.max(1, invocation.no) }));
      s.apply({ kind: "heartbeat", app: "shop", running }, a.after);
      return;
    }
    case "advance":
      s.apply({ kind: "advance", ms: a.after }, 1);
  }
}

describe("any script", () => {
  it("keeps one run per key alive (G4), resolves each wait once (G2), and derives its indexes", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const s = new Scenario(functions);
        for (const a of actions) {
          act(s, a);
          const carts = s.runs.filter((r) => r.functionId.endsWith("cart") && r.startedAtMs + 24 * HOUR > s.nowMs);
          expect(new Set(carts.map((r) => r.anchor)).size).toBe(carts.length);
        }
        expectDerivedIndexes(s);
        const ends = [...s.historyOf("waitResolved"), ...s.historyOf("waitTimedOut")].map(
          (e) => `${e.runId} ${e.stepId}`,
        );
        expect(new Set(ends).size).toBe(ends.length);
        const steps = s.historyOf("stepCompleted").map((e) => `${e.runId} ${e.stepId}`);
        expect(new Set(steps).size).toBe(steps.length);
      }),
      { numRuns: 300 },
    );
  });

  it("gives the same rows and effects when it is played again (G7)", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const play = (): Scenario => {
          const s = new Scenario(functions);
          for (const a of actions) act(s, a);
          return s;
        };
        const [one, two] = [play(), play()];
        expect(two.rowBytes()).toEqual(one.rowBytes());
        expect(two.effects).toEqual(one.effects);
      }),
      { numRuns: 100 },
    );
  });

  it("leaves no row behind once every run has ended and ids are forgotten", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const s = new Scenario(functions);
        for (const a of actions) act(s, a);
        for (const { runId } of s.runs) s.apply({ kind: "cancel", runId, reason: "over" });
        for (let i = 0; i < 3; i++) s.tick(30 * 24 * HOUR);
        expect([...s.world.rows.keys()].sort()).toEqual(["f", "k|0000", "p"]);
        expect(s.world.index.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

it("has one version of its logic, which a change of decisions must raise", () => {
  expect(core.logicVersion).toBe(1);
});
