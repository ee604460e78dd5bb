/** Many seeds in a row, until one of the bounds is reached; and what to say about those that failed. */
import { describe } from "./model/verdict.js";
import type { Plant } from "./plants.js";
import { runSeed, type SeedReport } from "./run-seed.js";

export interface Bounds {
  readonly from: number;
  readonly seeds: number;
  /** Asked between seeds: stop early? */
  readonly isOver: () => boolean;
  readonly plant?: Plant | undefined;
  /** Stop at the first seed that fails. */
  readonly untilFailure?: boolean;
}

export interface Campaign {
  readonly ran: number;
  readonly failed: readonly SeedReport[];
  readonly operations: number;
  readonly runs: number;
  /** How often each kind of trouble was met, over all seeds. */
  readonly counts: ReadonlyMap<string, number>;
}

export async function runCampaign(bounds: Bounds, onSeed: (report: SeedReport) => void): Promise<Campaign> {
  const failed: SeedReport[] = [];
  const counts = new Map<string, number>();
  let ran = 0;
  let operations = 0;
  let runs = 0;
  for (; ran < bounds.seeds && !bounds.isOver(); ran++) {
    const report = await runSeed({ seed: bounds.from + ran, ...bounds.plant });
    operations += report.operations;
    runs += report.runs;
    for (const [what, count] of report.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    onSeed(report);
    if (report.verdict.ok) continue;
    failed.push(report);
    if (bounds.untilFailure === true) return { ran: ran + 1, failed, operations, runs, counts };
  }
  return { ran, failed, operations, runs, counts };
}

/** The first violations of a seed, and how to see it again. */
export function explainFailure(report: SeedReport, commit: string, plant: string | null = null): string {
  const { seed, verdict } = report;
  const lines = verdict.violations.slice(0, 5).map((v) => `  ${describe(v)}`);
  const replay = `npm run sim -- ${seed}${plant === null ? "" : ` --plant ${plant}`}`;
  return [`seed ${seed} failed at commit ${commit}; replay: ${replay}`, ...lines].join("\n");
}
