/**
 * One world for many suites: they tell their functions while tests are collected, all are connected at once before the
 * first test. So event names are a suite's own, and a test leaves no run that a moved clock would bring back to life.
 */
import { Eddy, type EddyFunction } from "@eddy/sdk";
import { afterAll, beforeAll } from "vitest";
import { APP, World, type WorldKind } from "../../world.js";

const OPEN_MS_MAX = 120_000;

export class Stage {
  readonly #functions: EddyFunction[] = [];
  readonly #definer = new Eddy({ id: APP });
  #world: World | null = null;

  /** Only where tests are collected. */
  constructor(readonly kind: WorldKind) {
    beforeAll(async () => {
      this.#world = await World.start(kind);
      await this.#world.work(this.#functions);
    }, OPEN_MS_MAX);
    afterAll(() => this.#world?.close());
  }

  /** As `createFunction` of a client. */
  readonly define: Eddy["createFunction"] = (...args: unknown[]) => {
    const made = (this.#definer.createFunction as (...all: unknown[]) => EddyFunction)(...args);
    this.#functions.push(made);
    return made;
  };

  get world(): World {
    if (this.#world === null) throw new Error("the world is there once the tests run");
    return this.#world;
  }
}

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
