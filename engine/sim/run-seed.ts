/** One seed from its draw to its verdict. */
import { Cluster, NO_SABOTAGE, type Sabotage } from "./cluster.js";
import { Course } from "./course.js";
import { judge } from "./judge/judge.js";
import type { Verdict } from "./model/verdict.js";
import { Prng } from "./prng.js";
import { drawScenario, type Scenario } from "./scenario.js";
import { withRowLimits } from "./row-limits.js";
import { SpinError } from "./scheduler.js";
import { Trace } from "./trace.js";

export interface SeedOptions {
  readonly seed: number;
  /** Gets the trace, line by line. */
  readonly print?: ((line: string) => void) | undefined;
  readonly sabotage?: Sabotage | undefined;
  /** Changes the scenario that the seed draws. */
  readonly adjust?: ((scenario: Scenario) => Scenario) | undefined;
}

export interface SeedReport {
  readonly seed: number;
  readonly traceHash: string;
  readonly verdict: Verdict;
  readonly scenario: Scenario;
  readonly operations: number;
  readonly runs: number;
  /** Virtual time that passed, in ms. */
  readonly lastedMs: number;
  readonly counts: ReadonlyMap<string, number>;
}

export function runSeed(options: SeedOptions): Promise<SeedReport> {
  const rng = new Prng(options.seed);
  const drawn = drawScenario(rng.fork());
  const scenario = options.adjust?.(drawn) ?? drawn;
  return withRowLimits(scenario.limits, () => play(options, scenario, rng));
}

async function play({ seed, print, sabotage }: SeedOptions, scenario: Scenario, rng: Prng): Promise<SeedReport> {
  const trace = new Trace(print ?? null);
  const cluster = new Cluster(scenario, rng.fork(), trace, sabotage ?? NO_SABOTAGE);
  const startMs = cluster.scheduler.nowMs;
  const course = new Course(cluster, scenario, rng.fork());
  let stuck: string | null = null;
  try {
    stuck = await course.run();
  } catch (error) {
    if (!(error instanceof SpinError)) throw error;
    stuck = error.message;
  }
  const verdict = await judge(cluster, stuck);
  return {
    ...{ seed, traceHash: trace.hash, verdict, scenario, runs: cluster.watch.started },
    operations: cluster.scheduler.performed,
    lastedMs: cluster.scheduler.nowMs - startMs,
    counts: cluster.facts.counts,
  };
}
