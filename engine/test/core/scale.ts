/** Measures what a partition writes, with the real codec. */
import { topicsOf } from "@eddy/clients";
import { encodeRow, LIMITS, offset } from "@eddy/schemas";
import { expect } from "vitest";
import { kindOf } from "../../src/core/index.js";
import { rowBytes } from "../../src/core/run/state-size.js";
import { outgoingOf } from "../../src/partition/outgoing.js";
import type { Scenario } from "./scenario.js";

const TOPICS = topicsOf("x");
export const big = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0x20);
/** Text of the greatest length in UTF-8 for its length, and with a number in it. */
export const wide = (chars: number, no = 0): string => String(no).padStart(chars, "\u4e00");
export const MAX_ERROR = { name: wide(256), message: wide(65_536), stack: wide(65_536) };

/** Measures all rows, and the effects since it looked last. */
export class Scale {
  #seen = 0;
  constructor(private readonly s: Scenario) {}

  /** @returns bytes of the largest, key and value. */
  largest(): number {
    const sizes = [...this.s.world.rows].flatMap(([key, row]) => {
      const kind = kindOf(key);
      return kind === null ? [] : [key.length + encodeRow(kind, row as never).length];
    });
    for (const effect of this.s.effects.slice(this.#seen)) {
      const cause = { offset: offset(2 ** 50), index: 2 ** 30 };
      const { key, value } = outgoingOf(effect, cause, TOPICS, 0).record;
      sizes.push(Buffer.byteLength(key ?? "") + (value?.length ?? 0));
    }
    this.#seen = this.s.effects.length;
    return sizes.reduce((max, size) => Math.max(max, size), 0);
  }

  /** What is counted of each run is no less than its row, and no more than by a half. */
  expectHonest(): void {
    for (const run of this.s.runs) {
      const bytes = encodeRow("run", run).length;
      expect(bytes).toBeLessThanOrEqual(rowBytes(run));
      expect(rowBytes(run)).toBeLessThan(1.5 * bytes + 8_192);
    }
    expect(this.largest()).toBeLessThanOrEqual(LIMITS.recordBytesMax);
  }
}
