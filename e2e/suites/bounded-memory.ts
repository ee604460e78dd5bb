/** G11: what waits is in the store, not in the heap. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { World, type WorldKind } from "../world.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const WAITS = 3_000;
const PAYLOAD = "x".repeat(20_000);
const MIB = 1_048_576;

function usedBytes(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function waiting(world: World, from: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = from; n < from + WAITS; n += 100) {
    const events = Array.from({ length: 100 }, (_, i) => ({ name: "asked", data: { n: n + i, text: PAYLOAD } }));
    ids.push(...(await world.sendAll(events)));
  }
  for (const id of ids.slice(-4)) await world.reached(id, "waitStarted");
  return ids;
}

async function play(kind: WorldKind): Promise<{ grownMib: number; ends: unknown[] }> {
  const world = await World.start(kind, { cacheMib: 1 });
  try {
    const fn = world.client.createFunction({ id: "asks", triggers: [{ event: "asked" }] }, async ({ step }) => {
      const answer = await step.waitForEvent("answer", { event: "answered", match: "data.n", timeout: "1h" });
      return (answer?.data.text as string | undefined) ?? "none";
    });
    // The worker lives in this process too: it keeps no suspended handlers here.
    await world.work([fn], { suspendedMax: 1 });
    await waiting(world, 0);
    const before = usedBytes();
    const ids = await waiting(world, WAITS);
    const grownMib = await world.until("the heap comes to rest", () => {
      const grown = (usedBytes() - before) / MIB;
      return grown < (WAITS * PAYLOAD.length) / MIB / 2 || kind === "memory" ? { grown } : null;
    });
    await world.send("answered", { n: WAITS, text: "yes" });
    await world.send("answered", { n: 2 * WAITS - 1, text: "last" });
    const ends = [(await world.ended(ids[0] as string)).output, (await world.ended(ids.at(-1) as string)).output];
    return { grownMib: grownMib.grown, ends };
  } finally {
    await world.close();
  }
}

export function boundedMemory(kind: WorldKind): void {
  it("G11: a cache of 1 MiB serves 6,000 pending waits of 20 kB; on disk, they are not in memory", async () => {
    const { grownMib, ends } = await play(kind);
    expect(ends).toEqual(["yes", "last"]);
    // In memory the store itself is in the heap; the cache above it is bounded all the same.
    if (kind !== "memory") expect(grownMib).toBeLessThan(30);
  }, 120_000);
}
