/**
 * Trouble, drawn by the seed. Each seed has its own mix of kinds and rates, many of them zero ("swarm testing", Groce et
 * al., ISSTA 2012): a mix of everything all the time hides what one kind alone would show.
 */
import type { Prng } from "./prng.js";
import type { SimProcess } from "./process.js";
import type { Fate, OpKind, Operation, Verdict } from "./scheduler.js";

export interface FaultPlan {
  /** Chance per operation on the log to fail with an unknown outcome. */
  readonly errors: number;
  /** Chance per operation to crash its process there. */
  readonly crashes: number;
  /** Weights of what the chaos does at its moments; all 0: nothing. */
  readonly pause: number;
  readonly kill: number;
  readonly lag: number;
  readonly move: number;
  readonly jump: number;
  readonly aim: number;
  /** Mean time between two moments, in ms. */
  readonly everyMs: number;
  /** Chance that a crash takes the whole disk. */
  readonly wipe: number;
}

export const CALM: FaultPlan = {
  ...{ errors: 0, crashes: 0, pause: 0, kill: 0, lag: 0, move: 0, jump: 0, aim: 0 },
  ...{ everyMs: 1_000_000, wipe: 0 },
};

export function drawFaults(rng: Prng): FaultPlan {
  const on = (chance: number, value: () => number): number => (rng.chance(chance) ? value() : 0);
  return {
    errors: on(0.4, () => rng.pick([0.002, 0.01, 0.05])),
    crashes: on(0.4, () => rng.pick([0.0005, 0.002, 0.005])),
    pause: on(0.5, () => 2),
    kill: on(0.5, () => 2),
    lag: on(0.4, () => 2),
    move: on(0.4, () => 2),
    jump: on(0.5, () => 1),
    aim: on(0.6, () => 3),
    everyMs: rng.pick([5_000, 15_000, 40_000]),
    wipe: on(0.4, () => rng.pick([0.2, 0.6])),
  };
}

/** Where an aimed crash hits: the next operation of this kind, of any process or of one. */
interface Aim {
  readonly kind: OpKind;
  readonly process: SimProcess | null;
  readonly after: boolean;
}

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
    const kind = this.#rng.pick([
      "commit",
      "storeWrite",
      "openWriter",
      "append",
      "storeRead",
      "storeOpen",
      "ask",
    ] as const);
    this.#aims.push({ kind, process, after: this.#rng.chance(0.5) });
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
