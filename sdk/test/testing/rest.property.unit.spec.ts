/**
 * Whatever a function does: a call of the test engine resolves only when nothing more happens by itself, and everything
 * happened at the very ms at which it was due.
 */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Handler } from "../../src/index.js";
import { testEngine, type RunView } from "../../src/testing/index.js";
import { eddy } from "./shop.js";

type Part =
  | { readonly kind: "run"; readonly turns: number }
  | { readonly kind: "sleep" | "wait"; readonly ms: number }
  | { readonly kind: "send" }
  | { readonly kind: "both"; readonly ms: readonly [number, number] };

const ms = fc.integer({ min: 1, max: 5_000_000 });
const part: fc.Arbitrary<Part> = fc.oneof(
  fc.record({ kind: fc.constant("run" as const), turns: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ kind: fc.constantFrom("sleep" as const, "wait" as const), ms }),
  fc.record({ kind: fc.constant("send" as const) }),
  fc.record({ kind: fc.constant("both" as const), ms: fc.tuple(ms, ms) }),
);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

const perform: Handler = async ({ event, step }) => {
  for (const [i, each] of (event.data.parts as readonly Part[]).entries()) {
    const id = `${i}`;
    if (each.kind === "run") await step.run(id, () => turns(each.turns));
    if (each.kind === "sleep") await step.sleep(id, each.ms);
    if (each.kind === "wait") await step.waitForEvent(id, { event: "rest/never", match: "data.id", timeout: each.ms });
    if (each.kind === "send") await step.sendEvent(id, { name: "rest/echo", data: {} });
    if (each.kind === "both") await Promise.all(each.ms.map((time, at) => step.sleep(`${id}.${at}`, time)));
  }
};
const functions = [
  eddy.createFunction({ id: "parts", triggers: [{ event: "rest/start" }] }, perform),
  eddy.createFunction({ id: "echo", triggers: [{ event: "rest/echo" }] }, ({ step }) =>
    step.run("echo", () => turns(2)),
  ),
];

function lengthOf(parts: readonly Part[]): number {
  const lengths = parts.map((each) => {
    if (each.kind === "both") return Math.max(...each.ms);
    return "ms" in each ? each.ms : 0;
  });
  return lengths.reduce((sum, length) => sum + length, 0);
}
const stateOf = (runs: readonly RunView[]): unknown =>
  runs.map(({ id, status, timeline }) => ({ id, status, lines: timeline.length }));

it("rests when it says so, and is exact to the ms", { timeout: 60_000 }, async () => {
  const programs = fc.array(fc.array(part, { maxLength: 6 }), { minLength: 1, maxLength: 4 });
  const moves = fc.array(ms, { maxLength: 4 });
  const property = fc.asyncProperty(programs, moves, async (given, steps) => {
    const t = await testEngine({ functions, now: 0, idleGraceMs: 5 });
    try {
      const startedAt: number[] = [];
      const starts: string[] = [];
      for (const [i, parts] of given.entries()) {
        startedAt.push(t.now.getTime());
        starts.push(...(await t.send({ name: "rest/start", data: { id: i, parts } })).runs);
        await t.advance(steps[i] ?? 0);
        const before = stateOf(await t.runs());
        await turns(30);
        expect(stateOf(await t.runs())).toEqual(before);
      }
      await t.advance("30 days");
      for (const [i, parts] of given.entries()) {
        const { status, endedAt } = await t.run(starts[i]);
        expect([status, endedAt?.getTime()]).toEqual(["Completed", (startedAt[i] as number) + lengthOf(parts)]);
      }
      const echoes = given.flat().filter(({ kind }) => kind === "send");
      expect((await t.runs("echo")).map(({ status }) => status)).toEqual(echoes.map(() => "Completed"));
    } finally {
      await t.close();
    }
  });
  await fc.assert(property, { numRuns: 40, seed: 17 });
});
