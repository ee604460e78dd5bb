/** Measures a piece of work by the wall clock and by the CPU that the whole process took, all its threads together. */
import { performance } from "node:perf_hooks";

export interface Figure {
  readonly perSecond: number;
  /** Microseconds of CPU per unit of work. */
  readonly cpuMicros: number;
}

export async function measure(units: number, work: () => Promise<void>): Promise<Figure> {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (units / (performance.now() - begin)) * 1_000, cpuMicros: (user + system) / units };
}

/** The median of each number, over rounds in which the candidates take turns: load from outside hits all alike. */
export async function rounds(
  count: number,
  candidates: ReadonlyMap<string, () => Promise<Figure>>,
): Promise<ReadonlyMap<string, Figure>> {
  const figures = new Map<string, Figure[]>([...candidates.keys()].map((name) => [name, []]));
  for (let round = 0; round < count; round += 1) {
    for (const [name, run] of candidates) figures.get(name)?.push(await run());
  }
  const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
  return new Map(
    [...figures].map(([name, all]) => {
      const perSecond = median(all.map((f) => f.perSecond));
      return [name, { perSecond, cpuMicros: median(all.map((f) => f.cpuMicros)) }];
    }),
  );
}

export function print(title: string, figures: ReadonlyMap<string, Figure>): void {
  console.log(`\n${title}`);
  for (const [name, { perSecond, cpuMicros }] of figures) {
    const count = Math.round(perSecond).toLocaleString("en").padStart(12);
    console.log(`  ${name.padEnd(48)} ${count} /s ${cpuMicros.toFixed(2).padStart(8)} µs CPU each`);
  }
}
