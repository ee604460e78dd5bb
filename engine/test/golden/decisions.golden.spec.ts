/**
 * Golden decision traces: a fixed script, and for each of its records a digest of the rows and effects it led to. A
 * difference means that the same log is now decided otherwise: then LOGIC_VERSION must grow, and the version before must
 * stay until no state of it is left. `npm run golden` writes the file anew.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { digestOf, encodeHistory, encodeStepRequest, LEASE_MS, LIMITS, offset } from "@eddy/schemas";
import { expect, it } from "vitest";
import { LOGIC_VERSION } from "../../src/core/core.js";
import { completed, done, failedOp, fn, HOUR, Scenario, waitOp } from "../core/scenario.js";

const FILE = new URL(`decisions.v${LOGIC_VERSION}.json`, import.meta.url);
const RECORDS = 400;

/** Linear congruential generator of Numerical Recipes: small, and the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function step(s: Scenario, random: (below: number) => number): void {
  const afterMs = [0, 1, 1_000, LEASE_MS, HOUR, 25 * HOUR][random(6)] as number;
  const k = `k${random(3)}`;
  const request = s.requests.at(-1 - random(4));
  switch (random(10)) {
    case 0:
    case 1:
      return void s.send(["added", "bought", "asked", "answered"][random(4)] as string, { k }, { afterMs });
    case 2:
      return void s.send("added", { k }, { id: `u${random(4)}`, afterMs, ts: random(2) * (s.nowMs + HOUR) });
    case 3:
      return (
        s.apply({ kind: "delivered", app: "shop", mark: { offset: s.nextOffset, index: 9 } }, afterMs),
        undefined
      );
    case 4:
      return (s.apply({ kind: "advance", ms: afterMs }), undefined);
    case 5: {
      const running = s.runs.map(({ runId, invocation }) => ({ runId, invocation: Math.max(1, invocation.no) }));
      return (s.apply({ kind: "heartbeat", app: "shop", running }, afterMs), undefined);
    }
    case 6:
      return request === undefined ? undefined : s.declined(request);
    default:
      if (request !== undefined) report(s, request, random, afterMs);
  }
}

const sizes = [0, LIMITS.wholeRequestBytesMax, LIMITS.resultInlineBytesMax];

function report(
  s: Scenario,
  request: Scenario["requests"][number],
  random: (below: number) => number,
  afterMs: number,
): void {
  const run = s.runs.find((r) => r.runId === request.runId);
  const trigger = { data: { k: run?.event.values.find(([path]) => path === "data.k")?.[1].slice(2) } };
  const name = request.functionId.endsWith("cart") ? "bought" : "answered";
  const id = `s${request.invocation}`;
  const error = { name: "Error", message: "x", stack: null };
  switch (random(6)) {
    case 0:
      // On both sides of what is sent whole, and of what lies in the run's own row.
      return s.report(request, [completed(id, "r".repeat(sizes[random(3)] as number))], null, afterMs);
    case 1:
      return s.report(request, [waitOp(trigger, id, name, "data.k", 5 * HOUR)], undefined, afterMs);
    case 2:
      return s.report(request, [{ kind: "sleepRequested", stepId: id, until: { ms: HOUR } }], undefined, afterMs);
    case 3:
      return s.report(request, [failedOp(id)], undefined, afterMs);
    case 4:
      return s.report(request, [], { kind: "threw", error, retriable: true, retryAfter: null }, afterMs);
    default:
      return s.report(request, [], done(), afterMs);
  }
}

function trace(): { readonly digests: string[]; readonly s: Scenario } {
  const key = { match: "data.k" };
  const s = new Scenario([
    fn({
      id: "cart",
      triggers: [{ event: "added" }],
      cancelOn: [{ event: "added", ...key, timeout: { ms: 24 * HOUR } }],
      waits: [{ event: "bought", ...key }],
    }),
    fn({ id: "ask", triggers: [{ event: "asked" }], waits: [{ event: "answered", ...key }], retries: 1 }),
  ]);
  const random = randomFrom(20_261_122);
  const digests: string[] = [];
  let effects = 0;
  while (digests.length < RECORDS) {
    step(s, random);
    const cause = { offset: offset(0), index: 0 };
    const bytes = s.effects.slice(effects).map((effect) => {
      if (effect.kind === "RequestStep") return Buffer.from(encodeStepRequest(cause, effect.request)).toString("hex");
      if (effect.kind === "RecordHistory") return Buffer.from(encodeHistory(cause, effect.entry)).toString("hex");
      return JSON.stringify(effect);
    });
    effects = s.effects.length;
    digests.push(digestOf(...[...s.rowBytes()].flat(), ...bytes));
  }
  return { digests, s };
}

it("decides the same log in the same way as ever", () => {
  const { digests: now, s } = trace();
  if (process.env["EDDY_WRITE_GOLDEN"] === "1") writeFileSync(FILE, `${JSON.stringify(now, null, 1)}\n`);
  const golden = JSON.parse(readFileSync(FILE, "utf8")) as string[];
  expect(golden).toHaveLength(RECORDS);
  expect(new Set(golden).size).toBeGreaterThan(RECORDS / 2);
  const reasons = new Set(s.historyOf("runDispatched").map(({ reason }) => reason));
  expect([...reasons].sort()).toEqual(["declined", "leaseLost", "resume", "retry", "start"]);
  const inRows = s.requests.flatMap(({ memo }) =>
    memo.map(({ data }) => (data?.length ?? 0) > LIMITS.resultInlineBytesMax),
  );
  expect(new Set(inRows).size, "some results lie apart").toBe(2);
  expect(new Set(s.requests.map(({ event }) => event === null)).size, "some go whole, some in part").toBe(2);
  const at = now.findIndex((digest, i) => digest !== golden[i]);
  expect(at, `record ${at} of the script is decided otherwise: raise LOGIC_VERSION`).toBe(-1);
});
