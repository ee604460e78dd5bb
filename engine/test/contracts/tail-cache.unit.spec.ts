import { offset } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { Tail, TailCache } from "../../src/adapters/embedded/tail-cache.js";
import type { LogRecord } from "../../../clients/src/ports/log.js";

/** Consecutive records of 1,000 bytes from `first` on. */
const piece = (first: number, count: number): readonly LogRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    offset: offset(first + i),
    key: null,
    value: Buffer.alloc(1_000),
    appendTimeMs: 0,
  }));
const read = (tail: Tail, from: number, max = 100): readonly number[] | null =>
  tail.read(offset(from), max)?.map((r) => r.offset) ?? null;

describe("tail cache", () => {
  it("gives records from any offset it holds, across appends, up to a maximum", () => {
    const [cache, tail] = [new TailCache(1_000_000), new Tail()];
    cache.add(tail, piece(10, 3));
    cache.add(tail, piece(13, 1));
    cache.add(tail, piece(14, 2));
    expect(read(tail, 10)).toEqual([10, 11, 12, 13, 14, 15]);
    expect(read(tail, 12)).toEqual([12, 13, 14, 15]);
    expect(read(tail, 11, 3)).toEqual([11, 12, 13]);
    expect(read(tail, 15)).toEqual([15]);
    expect(read(tail, 9)).toBeNull();
    expect(read(new Tail(), 0)).toBeNull();
  });
  it("forgets the oldest of all partitions first, once it is above its bound", () => {
    const cache = new TailCache(10_000);
    const [a, b] = [new Tail(), new Tail()];
    cache.add(a, piece(0, 2));
    cache.add(b, piece(0, 2));
    cache.add(a, piece(2, 4));
    expect(read(a, 0)).toEqual([0, 1, 2, 3, 4, 5]);
    cache.add(b, piece(2, 2));
    expect(read(a, 0)).toBeNull();
    expect(read(a, 2)).toEqual([2, 3, 4, 5]);
    expect(read(b, 0)).toEqual([0, 1, 2, 3]);
  });
  it("holds nothing when one piece is above the bound", () => {
    const [cache, tail] = [new TailCache(10_000), new Tail()];
    cache.add(tail, piece(0, 2));
    cache.add(tail, piece(2, 50));
    expect(read(tail, 2)).toBeNull();
    cache.add(tail, piece(52, 1));
    expect(read(tail, 52)).toEqual([52]);
  });
  it("goes on after a partition was cleared", () => {
    const [cache, tail] = [new TailCache(5_000), new Tail()];
    cache.add(tail, piece(0, 2));
    tail.clear();
    expect(read(tail, 0)).toBeNull();
    for (let at = 2; at < 40; at += 2) cache.add(tail, piece(at, 2));
    expect(read(tail, 38)).toEqual([38, 39]);
    expect(read(tail, 2)).toBeNull();
  });
});
