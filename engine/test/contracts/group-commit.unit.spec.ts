import { describe, expect, it } from "vitest";
import { GroupCommit } from "../../src/adapters/rocksdb/group-commit.js";

interface Item {
  readonly name: string;
  readonly bytes: number;
}
const item = (name: string, bytes = 1): Item => ({ name, bytes });

/** Writes that the test lets end. */
class HeldWrites {
  readonly groups: string[][] = [];
  readonly #ends: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  readonly write = (items: readonly Item[]): Promise<void> => {
    this.groups.push(items.map(({ name }) => name));
    return new Promise((resolve, reject) => this.#ends.push({ resolve, reject }));
  };
  async end(error?: Error): Promise<void> {
    const { resolve, reject } = this.#ends.shift() ?? expect.fail("no write is under way");
    if (error === undefined) resolve();
    else reject(error);
    await new Promise((turn) => setImmediate(turn));
  }
}

describe("group commit", () => {
  it("writes calls of one turn together, and what comes during a write after it, together", async () => {
    const held = new HeldWrites();
    const commits = new GroupCommit<Item>(held.write);
    const first = [commits.add(item("a")), commits.add(item("b"))];
    await Promise.resolve();
    const later = [commits.add(item("c")), commits.add(item("d"))];
    expect(held.groups).toEqual([["a", "b"]]);
    await held.end();
    await Promise.all(first);
    expect(held.groups).toEqual([
      ["a", "b"],
      ["c", "d"],
    ]);
    await held.end();
    await Promise.all(later);
    await commits.drain();
  });
  it("bounds a group by bytes, but always takes one item", async () => {
    const held = new HeldWrites();
    const commits = new GroupCommit<Item>(held.write);
    const mib = 1_048_576;
    const all = [item("a", 3 * mib), item("b", mib), item("c", 1), item("huge", 50 * mib), item("d", 1)].map((each) =>
      commits.add(each),
    );
    await Promise.resolve();
    for (let i = 0; i < 4; i += 1) await held.end();
    await Promise.all(all);
    expect(held.groups).toEqual([["a", "b"], ["c"], ["huge"], ["d"]]);
  });
  it("rejects the items of a failed group alone, and goes on", async () => {
    const held = new HeldWrites();
    const commits = new GroupCommit<Item>(held.write);
    const failed = Promise.allSettled([commits.add(item("a")), commits.add(item("b"))]);
    await Promise.resolve();
    const next = commits.add(item("c"));
    await held.end(new Error("disk"));
    expect((await failed).map((end) => end.status)).toEqual(["rejected", "rejected"]);
    await held.end();
    await next;
    const last = commits.add(item("d"));
    await Promise.resolve();
    await held.end();
    await last;
  });
  it("drains: resolves once everything added has been settled", async () => {
    const held = new HeldWrites();
    const commits = new GroupCommit<Item>(held.write);
    await commits.drain();
    let drained = false;
    const added = commits.add(item("a"));
    const draining = commits.drain().then(() => (drained = true));
    await Promise.resolve();
    expect(drained).toBe(false);
    await held.end();
    await Promise.all([added, draining]);
    expect(drained).toBe(true);
  });
});
