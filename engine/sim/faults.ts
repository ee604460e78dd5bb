/**
 * Trouble, drawn by the seed. Each seed has its own mix of kinds and rates, many of them zero ("swarm testing", Groce et
 * al., ISSTA 2012): a mix of everything all the time hides what one kind alone would show.
 */
import type { Prng } from "./prng.js";
import type { SimProcess } from "./process.js";
import type { Fate, Operation, OpKind, Verdict } from "./scheduler.js";

/** What happens at the moments of trouble; trouble.ts makes it. */
export const TROUBLES = [
  "pause",
  "kill",
  "restart",
  "lag",
  "slow writes",
  "move",
  "broker clock",
  "process clock",
  "aimed crash",
  "compaction",
] as const;
export type TroubleKind = (typeof TROUBLES)[number];

export interface FaultPlan {
  /** Chance per operation on the log to fail with an unknown outcome. */
  readonly errors: number;
  /** Chance per operation to crash its process there. */
  readonly crashes: number;
  /** By weight; empty: none. */
  readonly troubles: readonly (readonly [weight: number, kind: TroubleKind])[];
  /** Mean time between two moments of trouble, in ms. */
  readonly everyMs: number;
  /** Chance that a crash takes the whole disk. */
  readonly wipe: number;
}

export const CALM: FaultPlan = { errors: 0, crashes: 0, troubles: [], everyMs: 1_000_000, wipe: 0 };

/** How likely a seed has trouble of a kind at all, and its weight then. */
const MIX: Readonly<Record<TroubleKind, readonly [chance: number, weight: number]>> = {
  pause: [0.5, 2],
  kill: [0.5, 2],
  restart: [0.3, 1],
  lag: [0.4, 2],
  "slow writes": [0.3, 1],
  move: [0.4, 2],
  "broker clock": [0.5, 1],
  "process clock": [0.2, 1],
  "aimed crash": [0.6, 3],
  compaction: [0.3, 1],
};

export function drawFaults(rng: Prng): FaultPlan {
  const on = (chance: number, values: readonly number[]): number => (rng.chance(chance) ? rng.pick(values) : 0);
  return {
    errors: on(0.4, [0.002, 0.01, 0.05]),
    crashes: on(0.4, [0.0005, 0.002, 0.005]),
    troubles: TROUBLES.filter((kind) => rng.chance(MIX[kind][0])).map((kind) => [MIX[kind][1], kind]),
    everyMs: rng.pick([5_000, 15_000, 40_000]),
    wipe: on(0.4, [0.2, 0.6]),
  };
}

/** Where an aimed crash hits: the next operation of this kind, of any process or of one. */
interface Aim {
  readonly kind: OpKind;
  readonly process: SimProcess | null;
  readonly after: boolean;
}

/** Checkpoints most of all: what lies between their two halves, and between them and the next. */
const AIMED_AT = [
  ...(["commit", "commit", "commit", "storeWrite", "storeWrite"] as const),
  ...(["openWriter", "append", "storeRead", "storeOpen", "ask"] as const),
];

export class SeededFate implements Fate {
  plan: FaultPlan = CALM;
  readonly #rng: Prng;
  readonly #immune: ReadonlySet<SimProcess>;
  readonly #onCrash: (process: SimProcess) => void;
  readonly #aims: Aim[] = [];

  constructor(rng: Prng, immune: ReadonlySet<SimProcess>, onCrash: (process: SimProcess) => void) {
    this.#rng = rng;
    this.#immune = immune;
    this.#onCrash = onCrash;
  }

  aim(process: SimProcess | null): void {
    this.#aims.push({ kind: this.#rng.pick(AIMED_AT), process, after: this.#rng.chance(0.5) });
  }

  /** From now on all goes well. */
  calm(): void {
    this.plan = CALM;
    this.#aims.length = 0;
  }

  verdict({ process, kind }: Operation): Verdict {
    if (process === null || this.#immune.has(process)) return "go";
    const hit = this.#aims.findIndex((aim) => aim.kind === kind && (aim.process === null || aim.process === process));
    if (hit >= 0) return this.#aims.splice(hit, 1)[0]?.after === true ? "crashAfter" : "crashBefore";
    const { errors, crashes } = this.plan;
    if (errors > 0 && this.#rng.chance(errors)) return this.#rng.chance(0.5) ? "failBefore" : "failAfter";
    if (crashes > 0 && this.#rng.chance(crashes)) return this.#rng.chance(0.5) ? "crashBefore" : "crashAfter";
    return "go";
  }

  crashed(process: SimProcess): void {
    this.#onCrash(process);
  }
}
