/**
 * Several partitions, workers and senders that may die between two copies; what partitions tell each other arrives in any
 * order that keeps the one of each pair. Whatever happens: each wait ends once, one run per key lives, nothing stays.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LEASE_MS, type StepReport, type StepRequest } from "@eddy/schemas";
import { Cluster, keyOn } from "./cluster.js";
import { expectDerivedIndexes } from "./derived.js";
import { completed, failedOp, fn, HOUR, waitOp, type GivenWait } from "./scenario.js";
import "./replay.js";

const PARTITIONS = 3;
const KEYS = [0, 1, 2, 0].map((partition, i) => keyOn(partition, PARTITIONS, `k${i}-`));
const MORE = "event.data.u == async.data.u && async.data.n >= event.data.n";

const functions = [
  fn({
    id: "cart",
    triggers: [{ event: "added" }],
    cancelOn: [
      { event: "added", match: "data.k" },
      { event: "left", match: "data.u" },
    ],
    waits: [{ event: "paid", match: "data.u" }, { event: "paid", if: MORE }, { event: "bell" }],
  }),
  fn({ id: "all", triggers: [{ event: "le*", if: "event.data.n > 0" }], waits: [{ event: "paid", match: "data.k" }] }),
];

const WAITS: Record<string, readonly [event: string, given: string | GivenWait]> = {
  byUser: ["paid", "data.u"],
  byKey: ["paid", "data.k"],
  more: ["paid", { if: MORE }],
  lane: ["bell", {}],
  undeclared: ["seen", "data.u"],
};

const key = fc.constantFrom(...KEYS);
const part = fc.nat(PARTITIONS - 1);
const after = fc.constantFrom(1, 1_000, LEASE_MS, HOUR);
const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("send" as const),
      name: fc.constantFrom("added", "paid", "left", "seen", "bell"),
      data: fc.record({ k: key, u: key, n: fc.nat(2) }),
      more: fc.record({ id: fc.constantFrom("u1", "u2", "u3"), stale: fc.boolean() }, { requiredKeys: [] }),
      /** A dead sender wrote so many. */
      copies: fc.constantFrom(1, 9, 9),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("report" as const),
      which: fc.nat(3),
      what: fc.constantFrom("step", "sleep", "fail", "return", "drop", ...Object.keys(WAITS), ...Object.keys(WAITS)),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("deliver" as const), from: part, to: part }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), at: part, after }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

const triggers = new Map<string, Uint8Array>();

function report(c: Cluster, request: StepRequest, what: string): void {
  if (request.event !== null) triggers.set(request.runId, request.event);
  const stepId = `s${request.invocation}-${request.memoTotal}`;
  const wait = WAITS[what];
  const ended: StepReport["outcome"] = { kind: "returned", data: new Uint8Array() };
  if (wait !== undefined) {
    const event = triggers.get(request.runId) ?? null;
    return c.report(request, [waitOp({ event }, stepId, wait[0], wait[1], HOUR / 2)]);
  }
  switch (what) {
    case "step":
      return c.report(request, [completed(stepId)], null);
    case "sleep":
      return c.report(request, [{ kind: "sleepRequested", stepId, until: { ms: 30_000 } }]);
    case "fail":
      return c.report(request, [failedOp(stepId)]);
    case "drop": {
      const lost = (request.pending ?? []).map((id) => ({ kind: "withdrawn" as const, stepId: id }));
      return c.report(request, [...lost, { kind: "sleepRequested", stepId, until: { ms: 1_000 } }]);
    }
    default:
      return c.report(request, [], ended);
  }
}

function act(c: Cluster, a: Action): void {
  switch (a.do) {
    case "send": {
      const copies = [...c.copies(a.name, a.data, a.more)].slice(0, a.copies);
      for (const [partition, record] of copies) c.apply(partition, record);
      return;
    }
    case "report": {
      const request = c.partitions.flatMap(({ requests }) => requests).at(-1 - a.which);
      if (request !== undefined) report(c, request, a.what);
      return;
    }
    case "deliver": {
      let isFirst = true; // Of this pair, and with it what it causes there at once: nothing.
      c.deliver(({ from, to }) => {
        if (!isFirst || from !== a.from || to !== a.to) return false;
        isFirst = false;
        return true;
      });
      return;
    }
    case "pass":
      c.apply(a.at, { kind: "tick" }, a.after);
  }
}

function play(actions: readonly Action[]): Cluster {
  const c = new Cluster(PARTITIONS);
  c.register(functions, 5_000);
  c.deliver();
  for (const a of actions) act(c, a);
  return c;
}

const script = fc.array(action, { maxLength: 60, size: "max" });

describe("partitions that talk to each other in any order", () => {
  it("end each wait once (G2), and settle no step twice", () => {
    fc.assert(
      fc.property(script, (actions) => {
        const c = play(actions);
        c.deliver();
        for (const s of c.partitions) expectDerivedIndexes(s);
        const steps = new Map<string, number>();
        for (const entry of c.history) {
          if (!("stepId" in entry)) continue;
          const id = `${entry.runId} ${entry.stepId}`;
          const isEnd = ["waitResolved", "waitTimedOut", "sleepEnded", "stepCompleted"].includes(entry.kind);
          const count = entry.kind === "stepWithdrawn" ? 0 : (steps.get(id) ?? 0) + (isEnd ? 1 : 0);
          expect(count, id).toBeLessThanOrEqual(1);
          steps.set(id, count);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("have one run per key alive once all is told (G4)", () => {
    fc.assert(
      fc.property(script, (actions) => {
        const c = play(actions);
        c.deliver();
        const carts = c.partitions.flatMap(({ runs }) => runs).filter((run) => run.functionId.endsWith("cart"));
        expect(new Set(carts.map(({ anchor }) => anchor)).size).toBe(carts.length);
      }),
      { numRuns: 150 },
    );
  });

  it("leave nothing behind, on any of them, once all runs have ended", () => {
    fc.assert(
      fc.property(script, (actions) => {
        const c = play(actions);
        c.deliver();
        for (const s of c.partitions) {
          for (const { runId } of s.runs) c.apply(s.at.partition, { kind: "cancel", runId, reason: "over" });
        }
        c.deliver();
        for (let i = 0; i < 4; i++) {
          c.pass(30 * 24 * HOUR);
          c.deliver();
        }
        expect(c.leftovers()).toEqual([]);
        for (const s of c.partitions) {
          expect([...s.world.rows.keys()].filter((rowKey) => !/^[kpf]/.test(rowKey))).toEqual([]);
          expect((s.world.get("p" as never) as { settling: unknown }).settling).toEqual([]);
          expect([...s.world.index.keys()]).toEqual([]);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("give the same rows when it all happens again (G7)", () => {
    fc.assert(
      fc.property(script, (actions) => {
        const [one, two] = [play(actions), play(actions)];
        expect(two.partitions.map((s) => s.rowBytes())).toEqual(one.partitions.map((s) => s.rowBytes()));
      }),
      { numRuns: 40 },
    );
  });
});

it("reads again from where the trigger that it hears began, though its guest began before", () => {
  const [user = "", k = "", , other = ""] = KEYS;
  const send = (by: string, stale: boolean): Action => {
    return { do: "send", name: "added", data: { k, u: by, n: 0 }, more: { id: "u2", stale }, copies: 1 };
  };
  const c = play([send(other, true), send(user, false)]);
  c.deliver();
  const guests = [...c.at(0).world.rows.keys()].filter((rowKey) => rowKey.startsWith("g|"));
  expect(guests).toHaveLength(1);
});
