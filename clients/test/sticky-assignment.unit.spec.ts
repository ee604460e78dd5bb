import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assignSticky } from "../src/sticky-assignment.js";
import type { Claimant } from "../src/sticky-assignment.js";

const member = (id: string, owned: readonly number[] = [], generation = 1): Claimant => ({ id, owned, generation });
const shares = (partitions: number, members: readonly Claimant[]): Record<string, readonly number[]> =>
  Object.fromEntries(assignSticky(partitions, members));

/** Up to 6 members with any claims, as after pauses and lost answers. */
const groups = fc.record({
  partitions: fc.integer({ min: 1, max: 24 }),
  members: fc.uniqueArray(
    fc.record({
      id: fc.string({ minLength: 1, maxLength: 4 }),
      owned: fc.array(fc.integer({ min: -2, max: 30 }), { maxLength: 24 }),
      generation: fc.integer({ min: 0, max: 3 }),
    }),
    { selector: ({ id }) => id, minLength: 1, maxLength: 6 },
  ),
});

/** Of whom a partition is, by its newest claim. */
function ownersOf(partitions: number, members: readonly Claimant[]): readonly (string | null)[] {
  return Array.from({ length: partitions }, (_, p) => {
    const claims = members.filter(({ owned }) => owned.includes(p));
    const newest = Math.max(...claims.map(({ generation }) => generation));
    const best = claims.filter(({ generation }) => generation === newest).map(({ id }) => id);
    return best.sort()[0] ?? null;
  });
}

/** The most partitions that can stay, by trying every choice of who gets the larger shares. */
function keptAtMost(owners: readonly (string | null)[], ids: readonly string[]): number {
  const share = Math.floor(owners.length / ids.length);
  const larger = owners.length % ids.length;
  const counts = ids.map((id) => owners.filter((owner) => owner === id).length);
  let most = 0;
  for (let choice = 0; choice < 1 << ids.length; choice += 1) {
    const bits = counts.map((_, index) => (choice >> index) & 1);
    if (bits.reduce((sum, bit) => sum + bit, 0) !== larger) continue;
    const kept = counts.reduce((sum, count, index) => sum + Math.min(count, share + (bits[index] ?? 0)), 0);
    most = Math.max(most, kept);
  }
  return most;
}

describe("assignSticky", () => {
  it("M1 gives every partition to one member, in shares that differ by at most one", () => {
    fc.assert(
      fc.property(groups, ({ partitions, members }) => {
        const given = [...assignSticky(partitions, members).values()];
        expect(given).toHaveLength(members.length);
        expect(given.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: partitions }, (_, p) => p));
        const sizes = given.map((share) => share.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });
  it("M1 moves no more partitions than equal shares take", () => {
    fc.assert(
      fc.property(groups, ({ partitions, members }) => {
        const owners = ownersOf(partitions, members);
        const given = assignSticky(partitions, members);
        const kept = owners.filter((owner, p) => owner !== null && given.get(owner)?.includes(p) === true);
        expect(kept).toHaveLength(
          keptAtMost(
            owners,
            members.map(({ id }) => id),
          ),
        );
      }),
    );
  });
  it("gives the same whatever the order of members, ascending, and stays where nothing changed", () => {
    fc.assert(
      fc.property(groups, ({ partitions, members }) => {
        const given = shares(partitions, members);
        expect(shares(partitions, [...members].reverse())).toEqual(given);
        for (const share of Object.values(given)) expect(share).toEqual([...share].sort((a, b) => a - b));
        const settled = members.map(({ id }) => member(id, given[id], 9));
        expect(shares(partitions, settled)).toEqual(given);
      }),
    );
  });
  it("settles rival claims by the newer generation", () => {
    const paused = member("a", [0, 1, 2, 3], 4);
    const active = member("b", [0, 1], 6);
    expect(shares(4, [paused, active])).toEqual({ a: [2, 3], b: [0, 1] });
  });
  it("gives back to a member that was away what it had, where as many have to move anyway", () => {
    const back = member("b", [1, 2], 4);
    expect(shares(4, [member("a", [0, 1, 2, 3], 6), back])).toEqual({ a: [0, 3], b: [1, 2] });
  });
  it("knows members without a partition, and groups without a member", () => {
    expect(shares(1, [member("a"), member("b", [0])])).toEqual({ a: [], b: [0] });
    expect(shares(3, [])).toEqual({});
  });
});
