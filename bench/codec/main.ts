/**
 * `npm run bench:codec`: CPU time and size of each candidate on each sample. Candidates take turns within a round, so
 * that a noisy neighbour slows them alike; the median of the rounds counts. Prints a Markdown table.
 */
import { performance } from "node:perf_hooks";
import { CANDIDATES, type Candidate } from "./candidates.js";
import { SAMPLES } from "./samples.js";

const ROUNDS = 15;
const SLICE_MS = 25;
type SampleName = keyof typeof SAMPLES;
const names = Object.keys(SAMPLES) as SampleName[];

/** @returns microseconds per call */
function time(action: () => void): number {
  let calls = 0;
  const begin = performance.now();
  let end: number;
  do {
    for (let i = 0; i < 50; i++) action();
    calls += 50;
    end = performance.now();
  } while (end - begin < SLICE_MS);
  return ((end - begin) * 1000) / calls;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

interface Figures {
  readonly encode: number[];
  readonly decode: number[];
  bytes: number;
}
const figures = new Map<string, Figures>();
const of = (candidate: Candidate, sample: SampleName): Figures => {
  const key = `${candidate.name}|${sample}`;
  let found = figures.get(key);
  if (found === undefined) figures.set(key, (found = { encode: [], decode: [], bytes: 0 }));
  return found;
};

for (let round = -2; round < ROUNDS; round++) {
  for (const sample of names) {
    const value = SAMPLES[sample];
    for (const candidate of CANDIDATES) {
      const data = candidate.encode(sample, value);
      const encode = time(() => candidate.encode(sample, value));
      const decode = time(() => candidate.decode(sample, data));
      if (round < 0) continue; // Warming up.
      const found = of(candidate, sample);
      found.encode.push(encode);
      found.decode.push(decode);
      found.bytes = data.length;
    }
  }
}

const cell = ({ encode, decode, bytes }: Figures): string =>
  `${median(encode).toFixed(1)} + ${median(decode).toFixed(1)}, ${bytes} B`;
console.log(`Node ${process.versions.node}; encode + decode in microseconds, size in bytes\n`);
console.log(`| | ${names.join(" | ")} |`);
console.log(`|---${"|---".repeat(names.length)}|`);
for (const candidate of CANDIDATES) {
  console.log(`| ${candidate.name} | ${names.map((sample) => cell(of(candidate, sample))).join(" | ")} |`);
}
