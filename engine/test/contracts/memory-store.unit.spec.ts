import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import { compareKeys } from "../../src/adapters/memory/key-order.js";
import { LOSABLE_BATCHES_MAX } from "../../src/adapters/memory/memory-store.js";
import { ClosedError, InvariantViolation } from "../../../clients/src/errors/codes.js";
import { storeContract } from "./store-contract.js";

storeContract("memory", async () => {
  const factory = new MemoryStoreFactory();
  return { factory, otherFactory: () => factory, dispose: () => Promise.resolve() };
});

describe("memory store: order", () => {
  it("S2 compares as UTF-8 bytes do", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "é", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"),
    });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});

describe("memory store: crash", () => {
  const bytes = (n: number): Uint8Array => Uint8Array.of(n);

  async function crashed(batchesLost: number) {
    const disk = new MemoryStoreFactory();
    const before = await disk.open("s");
    for (let n = 0; n < 20; n += 1) {
      const puts = ["a", `only-${n}`].map((key) => [key, bytes(n)] as const);
      await before.write({ puts, deletes: [`only-${n - 1}`] });
    }
    disk.crash(batchesLost);
    const rows = await (await disk.open("s")).scan({ from: "a", to: "z", limit: 10 });
    return { before, rows: rows.map(([key, value]) => [key, ...value]) };
  }

  it.each([0, 1, 5, LOSABLE_BATCHES_MAX])("S1 loses the newest %i batches, whole and no others", async (lost) => {
    const last = 19 - lost;
    expect((await crashed(lost)).rows).toEqual([
      ["a", last],
      [`only-${last}`, last],
    ]);
  });
  it("S4 leaves the dead process's handle dead", async () => {
    const { before } = await crashed(0);
    await expect(before.write({ puts: [["a", bytes(99)]], deletes: [] })).rejects.toThrow(ClosedError);
    await expect(before.getMany(["a"])).rejects.toThrow(ClosedError);
  });
  it("refuses to lose more than it can undo", () => {
    expect(() => new MemoryStoreFactory().crash(LOSABLE_BATCHES_MAX + 1)).toThrow(InvariantViolation);
  });
});
