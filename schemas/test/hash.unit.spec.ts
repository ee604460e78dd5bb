import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf, murmur2 } from "@eddy/schemas";

describe("murmur2", () => {
  /** The inputs and results of Kafka's own UtilsTest.testMurmur2, and of librdkafka's unit test. */
  it.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
    ["kafka", 0xd067cf64 | 0],
    ["giberish123456789", 0x8f552b0c | 0],
    ["1234", 0x9fc97b14 | 0],
    ["234", 0xe7c009ca | 0],
    ["34", 0x873930da | 0],
    ["4", 0x5a4b5ca1 | 0],
    ["PreAmbleWillBeRemoved,ThePrePartThatIs", 0x78424f1c | 0],
    ["reAmbleWillBeRemoved,ThePrePartThatIs", 0x4a62b377 | 0],
    ["eAmbleWillBeRemoved,ThePrePartThatIs", 0xe0e4e09e | 0],
    ["AmbleWillBeRemoved,ThePrePartThatIs", 0x62b8b43f | 0],
    ["", 0x106e08d9],
  ])("of %j is what Kafka's Java client gives", (text, expected) => {
    expect(murmur2(text)).toBe(expected);
  });

  it("hashes UTF-8 bytes, whatever their number", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        expect(murmur2(text)).toBe(reference(Buffer.from(text, "utf8")));
      }),
    );
  });
});

/** The same function once more, in the other style: 64-bit integers, cut to 32 bits after each step. */
function reference(data: Uint8Array): number {
  const cut = (x: bigint): bigint => x & 0xffffffffn;
  const m = 0x5bd1e995n;
  let h = cut(0x9747b28cn ^ BigInt(data.length));
  let i = 0;
  for (; data.length - i >= 4; i += 4) {
    let k = 0n;
    for (let j = 3; j >= 0; j--) k = (k << 8n) | BigInt(data[i + j] ?? 0);
    k = cut(k * m);
    k = cut((k ^ (k >> 24n)) * m);
    h = cut(h * m) ^ k;
  }
  if (i < data.length) {
    for (let j = data.length - 1; j >= i; j--) h ^= BigInt(data[j] ?? 0) << BigInt(8 * (j - i));
    h = cut(h * m);
  }
  h = cut((h ^ (h >> 13n)) * m);
  return Number(h ^ (h >> 15n)) | 0;
}

describe("digestOf", () => {
  it("is the first 130 bits of SHA-256 over the length-prefixed parts, in base32hex", () => {
    const hash = createHash("sha256").update("3:run4:shop", "utf8").digest("hex");
    const bits = BigInt(`0x${hash}`) >> BigInt(256 - 130);
    expect(digestOf("run", "shop")).toBe(bits.toString(32).padStart(26, "0"));
  });

  it("tells parts apart by where they end", () => {
    const distinct = new Set([digestOf("a", "b"), digestOf("ab", ""), digestOf("", "ab"), digestOf("ab"), digestOf()]);
    expect(distinct.size).toBe(5);
  });

  it("always has 26 characters", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (parts) => {
        expect(digestOf(...parts)).toMatch(/^[0-9a-v]{26}$/);
      }),
    );
  });
});
