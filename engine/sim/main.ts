/**
 * npm run sim -- <seed>                         one seed, with its trace and verdict
 * npm run sim -- --seeds 2000 [--from S] [--minutes M]   many seeds
 * npm run sim -- [<seed>] --plant <bug>         with a bug put in: the judge must find it
 * npm run sim -- --plants                       every planted bug: how many seeds until each was found
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { commitOf } from "./commit.js";
import { explainFailure, runCampaign } from "./campaign.js";
import { describe } from "./model/verdict.js";
import { PLANTS, type Plant } from "./plants.js";
import { runSeed } from "./run-seed.js";

const SEEDS_DEFAULT = 200;
/** A planted bug that so many seeds do not show counts as missed. */
const PLANT_SEEDS_MAX = 400;

async function one(seed: number, plant: Plant | undefined): Promise<boolean> {
  const report = await runSeed({ seed, print: (line) => console.log(line), ...plant });
  const { verdict, scenario, traceHash, operations, runs, lastedMs, counts } = report;
  const { scripts, timeline: _, ...rest } = scenario;
  console.log(JSON.stringify(rest));
  for (const { config, nodes, versions } of scripts) console.log(JSON.stringify({ ...config, nodes, versions }));
  console.log(JSON.stringify(Object.fromEntries(counts)));
  console.log(`seed ${seed}: trace ${traceHash}, ${operations} operations, ${runs} runs, ${lastedMs / 1_000} s`);
  for (const violation of verdict.violations) console.log(describe(violation));
  console.log(verdict.ok ? "clean" : `${verdict.violations.length} violations`);
  return verdict.ok;
}

interface Many {
  readonly from: number;
  readonly seeds: number;
  readonly minutes: number;
  readonly plant: Plant | undefined;
}

async function many({ from, seeds, minutes, plant }: Many): Promise<boolean> {
  const commit = commitOf();
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1_000;
  console.log(`seeds ${from} to ${from + seeds - 1} at commit ${commit}`);
  const isOver = (): boolean => seconds() > minutes * 60;
  const campaign = await runCampaign({ from, seeds, isOver, plant }, (report) => {
    if (!report.verdict.ok) console.log(explainFailure(report, commit, plant?.name));
  });
  const { ran, failed, operations, runs, counts } = campaign;
  const rate = (ran / seconds()).toFixed(1);
  console.log(JSON.stringify(Object.fromEntries([...counts].sort())));
  console.log(`${ran} seeds (${rate} a second), ${operations} operations, ${runs} runs, ${failed.length} failed`);
  return failed.length === 0;
}

async function allPlants(from: number): Promise<boolean> {
  let missed = 0;
  for (const plant of PLANTS) {
    const bounds = { from, seeds: PLANT_SEEDS_MAX, isOver: () => false, plant, untilFailure: true };
    const { ran, failed } = await runCampaign(bounds, () => undefined);
    const first = failed[0]?.verdict.violations[0];
    if (first === undefined) missed += 1;
    const how =
      first === undefined ? `NOT FOUND in ${ran} seeds` : `seed ${from + ran - 1}, the ${ran}th: ${describe(first)}`;
    console.log(`${plant.name}: ${how.slice(0, 240)}`);
  }
  console.log(missed === 0 ? "every planted bug was found" : `${missed} planted bugs were missed`);
  return missed === 0;
}

function plantNamed(name: string | undefined): Plant | undefined {
  if (name === undefined) return undefined;
  const plant = PLANTS.find((p) => p.name === name);
  if (plant === undefined)
    throw new Error(`no planted bug "${name}"; there are: ${PLANTS.map((p) => p.name).join(", ")}`);
  return plant;
}

async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: "string" },
      from: { type: "string" },
      minutes: { type: "string" },
      plant: { type: "string" },
      plants: { type: "boolean" },
    },
  });
  const plant = plantNamed(values.plant);
  const from = values.from === undefined ? randomInt(2 ** 40) : Number(values.from);
  if (values.plants === true) return allPlants(from);
  if (positionals[0] !== undefined) return one(Number(positionals[0]), plant);
  const seeds = values.seeds === undefined ? SEEDS_DEFAULT : Number(values.seeds);
  const minutes = values.minutes === undefined ? Infinity : Number(values.minutes);
  return many({ from, seeds, minutes, plant });
}

process.exitCode = (await main()) ? 0 : 1;
