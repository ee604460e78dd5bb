/**
 * The simulator in the test suite: a seed is a seed, known seeds are clean (G1 to G7, G9 to G11), and a planted bug
 * is found. Long runs of fresh seeds: `npm run sim -- --seeds 5000`.
 */
import { describe, expect, it } from "vitest";
import { explainFailure, runCampaign } from "./campaign.js";
import { commitOf } from "./commit.js";
import { PLANTS } from "./plants.js";
import { Prng } from "./prng.js";
import { runSeed } from "./run-seed.js";

/**
 * Seeds that are known to be clean: what breaks them is a change. Fresh ones are for `npm run sim -- --seeds 5000`, which
 * still finds one in some thousands. They end at whichever comes first, so that a slow machine takes no longer.
 */
const SEEDS_FROM = 15_000_000;
const SEEDS_MAX = 300;
const SEEDS_MS_MAX = 30_000;
/** Seeds that a planted bug may take; the slowest one known took 83. */
const PLANT_SEEDS_MAX = 300;
const PLANTS_FROM = 1;

const commit = commitOf();

describe("one seed", () => {
  it.each([1, 2, 3, 2 ** 40 + 5])("gives the same trace each time: %d", async (seed) => {
    const first = await runSeed({ seed });
    const lines: string[] = [];
    const second = await runSeed({ seed, print: (line) => lines.push(line) });
    expect(second.traceHash).toBe(first.traceHash);
    expect(second.operations).toBe(first.operations);
    expect(lines.length).toBeGreaterThan(100);
    expect(lines.length).toBe(Number(second.traceHash.split("/")[1]));
  });

  it("gives another trace than its neighbour", async () => {
    const hashes = new Set<string>();
    for (const seed of [11, 12, 13]) hashes.add((await runSeed({ seed })).traceHash);
    expect(hashes.size).toBe(3);
  });

  it("draws from all 53 bits of the seed", () => {
    const first = (seed: number): number => new Prng(seed).uint32();
    expect(new Set([0, 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52].map(first)).size).toBe(5);
  });
});

describe("many seeds", () => {
  it(
    "keep every promise",
    async () => {
      const until = performance.now() + SEEDS_MS_MAX;
      const isOver = (): boolean => performance.now() > until;
      const campaign = await runCampaign({ from: SEEDS_FROM, seeds: SEEDS_MAX, isOver }, () => undefined);
      console.log(`${campaign.ran} seeds, ${campaign.runs} runs, ${campaign.operations} operations`);
      expect(campaign.failed.map((report) => explainFailure(report, commit))).toEqual([]);
      expect(campaign.runs).toBeGreaterThan(campaign.ran);
      expect(campaign.counts.get("engine crashes")).toBeGreaterThan(0);
      expect(campaign.counts.get("worker crashes")).toBeGreaterThan(0);
    },
    SEEDS_MS_MAX * 4,
  );
});

describe("planted bugs", () => {
  it.each(PLANTS.map((plant) => [plant.name, plant] as const))(
    "finds %s",
    async (_, plant) => {
      const bounds = { from: PLANTS_FROM, seeds: PLANT_SEEDS_MAX, isOver: () => false, plant, untilFailure: true };
      const { ran, failed } = await runCampaign(bounds, () => undefined);
      expect(failed, `${plant.summary}: not found in ${ran} seeds`).toHaveLength(1);
    },
    120_000,
  );

  it("are absent from the seeds that find them", async () => {
    const bounds = { from: PLANTS_FROM, seeds: 20, isOver: () => false };
    const { failed } = await runCampaign(bounds, () => undefined);
    expect(failed.map((report) => explainFailure(report, commit))).toEqual([]);
  });
});
