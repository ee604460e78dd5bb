/** Who of a group's members gets which partition: in equal shares, and with as few partitions moved as that allows. */

export interface Claimant {
  /** Unique among the members. */
  readonly id: string;
  /** What the member had at last; anything may stand here, as it comes from another process. */
  readonly owned: readonly number[];
  /** In which it had that: of two members who claim one partition, the one with the newer generation has it. */
  readonly generation: number;
}

/**
 * Shares differ by at most one partition, and no assignment with such shares moves fewer partitions. Equal members and
 * claims, in whatever order, give equal assignments.
 * @param partitions of the topic, 0 to n-1; claims of others are ignored
 * @returns for each member by its id its partitions, ascending
 */
export function assignSticky(partitions: number, members: readonly Claimant[]): ReadonlyMap<string, readonly number[]> {
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const owners = settleClaims(partitions, sorted);
  const room = roomOf(sorted, owners);
  giveBack(sorted, owners, room);
  for (let p = partitions - 1; p >= 0; p -= 1) {
    const owner = owners[p] ?? null;
    if (owner === null || (room.get(owner) ?? 0) >= 0) continue;
    owners[p] = null;
    add(room, owner, 1);
  }
  return fill(sorted, owners, room);
}

/** By partition the member whose claim is the newest; of equal ones the first. */
function settleClaims(partitions: number, members: readonly Claimant[]): (Claimant | null)[] {
  const owners = new Array<Claimant | null>(partitions).fill(null);
  for (const member of members) {
    for (const p of member.owned) {
      const rival = owners[p];
      if (rival === null || (rival !== undefined && rival.generation < member.generation)) owners[p] = member;
    }
  }
  return owners;
}

/** How many partitions each may still get; below 0: must give away. The larger shares go to those who have most. */
function roomOf(members: readonly Claimant[], owners: readonly (Claimant | null)[]): Map<Claimant, number> {
  const counts = new Map(members.map((member) => [member, 0]));
  for (const owner of owners) if (owner !== null) add(counts, owner, 1);
  const share = Math.floor(owners.length / members.length);
  const larger = owners.length % members.length;
  const byCount = [...counts].sort(([, a], [, b]) => b - a);
  return new Map(byCount.map(([member, count], index) => [member, share + (index < larger ? 1 : 0) - count]));
}

/** What has to move anyway goes to members who had it before: they may still have its rows. */
function giveBack(members: readonly Claimant[], owners: (Claimant | null)[], room: Map<Claimant, number>): void {
  for (const member of members) {
    for (const p of member.owned) {
      const owner = owners[p];
      if (owner === undefined || owner === null || owner === member) continue;
      if ((room.get(member) ?? 0) <= 0 || (room.get(owner) ?? 0) >= 0) continue;
      owners[p] = member;
      add(room, owner, 1);
      add(room, member, -1);
    }
  }
}

function fill(
  members: readonly Claimant[],
  owners: readonly (Claimant | null)[],
  room: ReadonlyMap<Claimant, number>,
): ReadonlyMap<string, readonly number[]> {
  const shares = new Map(members.map(({ id }) => [id, [] as number[]]));
  const takers = members.flatMap((member) => new Array<Claimant>(Math.max(room.get(member) ?? 0, 0)).fill(member));
  let taken = 0;
  owners.forEach((owner, p) => {
    const member = owner ?? takers[taken++];
    if (member !== undefined) shares.get(member.id)?.push(p);
  });
  return shares;
}

function add(counts: Map<Claimant, number>, member: Claimant, count: number): void {
  counts.set(member, (counts.get(member) ?? 0) + count);
}
