/**
 * Whatever a handler nests of all, any, race and sequences: kept in memory or re-entered for every invocation, it asks for
 * the same steps, gives up the same ones, and comes to the same result; and it never waits with nothing to wait for.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Steps } from "../../src/index.js";
import { bench, fn } from "../fixtures.js";
import { turns } from "../manual-clock.js";

type Leaf = "run" | "sleep" | "wait" | "send";
type Plan =
  | { readonly leaf: Leaf }
  | { readonly how: "all" | "any" | "race" | "again" | "sequence"; readonly of: readonly Plan[] };

const leaf = fc.record({ leaf: fc.constantFrom<Leaf>("run", "sleep", "wait", "sleep", "wait", "send") });
const { plan, group } = fc.letrec<{ plan: Plan; group: Plan }>((tie) => ({
  plan: fc.oneof({ maxDepth: 2, withCrossShrink: true }, leaf, tie("group")),
  group: fc.record({
    how: fc.constantFrom("all", "any", "race", "race", "again", "sequence"),
    of: fc.array(tie("plan"), { minLength: 2, maxLength: 3 }),
  }),
}));
const plans = fc.array(fc.oneof(group, plan), { minLength: 2, maxLength: 4 });

/** Each leaf comes to its own id, so that results tell who won. */
function run(step: Steps, what: Plan, id: string): Promise<unknown> {
  if ("leaf" in what) return leafOf(step, what.leaf, id);
  if (what.how === "sequence") return inSequence(step, what.of, id);
  const parts = what.of.map((part, i) => run(step, part, `${id}.${i}`));
  if (what.how === "again") return again(step, parts, id);
  return combined[what.how](parts);
}
const combined = {
  all: (parts: readonly Promise<unknown>[]): Promise<unknown> => Promise.all(parts),
  any: (parts: readonly Promise<unknown>[]): Promise<unknown> => Promise.any(parts),
  race: (parts: readonly Promise<unknown>[]): Promise<unknown> => Promise.race(parts),
};
/** What may have lost is waited for later all the same. */
async function again(step: Steps, parts: readonly Promise<unknown>[], id: string): Promise<unknown> {
  const winner = (await Promise.race(parts)) ?? null;
  await step.sleep(`${id}.then`, 1);
  return [winner, (await parts[0]) ?? null, (await Promise.race(parts)) ?? null];
}
async function inSequence(step: Steps, parts: readonly Plan[], id: string): Promise<unknown> {
  const results: unknown[] = [];
  for (const [i, part] of parts.entries()) results.push((await run(step, part, `${id}.${i}`)) ?? null);
  return results;
}
function leafOf(step: Steps, kind: Leaf, id: string): Promise<unknown> {
  switch (kind) {
    case "run":
      return step.run(id, () => id);
    case "send":
      return step.sendEvent(id, { name: "sent" });
    case "sleep":
      return step.sleep(id, 1);
    case "wait":
      return step.waitForEvent(id, { event: "x", match: "id", timeout: 1 });
  }
}

/** Settles what is pending in an order that `choices` make, sometimes two at once. @returns what the engine was told. */
async function play(parts: readonly Plan[], choices: readonly number[], isForgetful: (turn: number) => boolean) {
  const { engine, clock, replaceWorker, sent } = await bench(fn(({ step }) => inSequence(step, parts, "p")));
  const scripted = await engine.startRun("app/f");
  await clock.advance(500);
  for (let turn = 0; scripted.status !== "completed"; turn++) {
    const count = (choices[turn] ?? 0) % 3 === 0 ? 2 : 1;
    expect([scripted.status, scripted.pending.size > 0]).toEqual(["suspended", true]);
    for (let i = 0; i < count && scripted.pending.size > 0; i++) {
      const ids = [...scripted.pending.keys()].sort();
      const id = ids[((choices[turn] ?? 0) + i) % ids.length] as string;
      engine.settleOnly(scripted, id, { name: "x", id, ts: 1 });
    }
    if (isForgetful(turn)) await replaceWorker();
    await engine.dispatch(scripted);
    await turns();
    await clock.advance(500);
  }
  const told = new Map<string, string[]>();
  for (const line of engine.story) {
    const no = line.split(" ")[0] as string;
    told.set(no, [...(told.get(no) ?? []), line].sort());
  }
  const memo = scripted.memo.map(({ stepId }) => stepId);
  return { told: [...told.values()], memo, output: scripted.output, withdrawn: [...scripted.withdrawn].sort(), sent };
}

it("the same record leads to the same steps", { timeout: 120_000 }, async () => {
  let withdrawn = 0;
  let askedAgain = 0;
  await fc.assert(
    fc.asyncProperty(plans, fc.array(fc.nat(12), { maxLength: 30 }), fc.nat(7), async (parts, choices, mask) => {
      const kept = await play(parts, choices, () => false);
      const reentered = await play(parts, choices, () => true);
      const sometimes = await play(parts, choices, (turn) => ((mask >> (turn % 3)) & 1) === 1);
      expect(reentered).toEqual(kept);
      expect(sometimes).toEqual(kept);
      const lines = kept.told.flat().map((line) => line.replace(/^\d+ /, ""));
      withdrawn += lines.filter((line) => line.startsWith("withdrawn")).length;
      const asked = lines.filter((line) => line.includes("Requested"));
      askedAgain += asked.length - new Set(asked).size;
    }),
    { seed: 5, numRuns: 40 },
  );
  // The plans are such that it happens.
  expect([withdrawn > 20, askedAgain > 5], `${withdrawn} withdrawn, ${askedAgain} asked again`).toEqual([true, true]);
});
