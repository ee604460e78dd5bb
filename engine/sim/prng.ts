/**
 * The only source of chance in the simulator. xoshiro128** 1.1 by David Blackman and Sebastiano Vigna (2018, public
 * domain, https://prng.di.unimi.it/xoshiro128starstar.c); its state is filled from the seed by a counter that goes
 * through the 32-bit finalizer of Austin Appleby's MurmurHash3 (public domain).
 */
function mixed(counter: number): number {
  let h = counter | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const rotl = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed a safe integer, >= 0; all 53 bits count. */
  constructor(seed: number) {
    const low = seed | 0;
    const high = Math.floor(seed / 0x1_0000_0000) | 0;
    const base = mixed(low ^ 0x9e3779b9) ^ mixed(high + 0x7f4a7c15);
    this.#a = mixed(base + 0x9e3779b9);
    this.#b = mixed(base + 2 * 0x9e3779b9);
    this.#c = mixed(base + 3 * 0x9e3779b9);
    this.#d = mixed(base + 4 * 0x9e3779b9) | 1;
  }

  /** 0 .. 2^32 - 1. */
  uint32(): number {
    const result = Math.imul(rotl(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = rotl(this.#d, 11);
    return result;
  }

  /** [0, 1). */
  float(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** Both ends inclusive. */
  between(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error("nothing to pick from");
    return items[Math.floor(this.float() * items.length)] as T;
  }

  /** Picks by weight; weights are >= 0 and not all 0. */
  weighted<T>(items: readonly (readonly [weight: number, item: T])[]): T {
    let left = this.float() * items.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, item] of items) {
      left -= weight;
      if (left < 0) return item;
    }
    return (items.at(-1) as readonly [number, T])[1];
  }

  /** Another stream, so that more draws in one place do not move all others. */
  fork(): Prng {
    return new Prng(this.uint32() * 0x20_0000 + (this.uint32() >>> 11));
  }
}
