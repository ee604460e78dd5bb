/**
 * What the members of a group tell each other through the coordinator, which only carries it: each member its claim to
 * the leader, the leader its share to each member. Both are written as Kafka's own consumers do, so that tools can read
 * them; what is ours is in their user data, behind a number of its format.
 *
 * Members of other versions are expected: what a claim does not tell is taken for nothing, and never an error.
 */
import { assignSticky } from "../sticky-assignment.js";
import { WireError, WireReader, WireWriter } from "./wire.js";

/** Of all members of a group: the coordinator lets no others in. */
export const GROUP_PROTOCOL = "eddy-1";

const STANDARD_VERSION = 0;
const FORMAT = 1;
export const NO_GENERATION = -1;

/** What a member had at last, and where it can be reached. */
export interface Claim {
  readonly topic: string;
  readonly address: string | null;
  /** In which it had `owned`; NO_GENERATION: in none. */
  readonly generation: number;
  readonly owned: readonly number[];
}

export interface Share {
  /** Ascending. */
  readonly partitions: readonly number[];
  /** By partition; null: its owner cannot be asked anything. */
  readonly owners: readonly (string | null)[];
  /** The last generation whose shares may have reached anybody; NO_GENERATION: the leader does not know. */
  readonly previous: number;
}

export function encodeClaim({ topic, address, generation, owned }: Claim): Buffer {
  const bits = Buffer.alloc(Math.ceil((Math.max(-1, ...owned) + 1) / 8));
  for (const p of owned) bits[p >> 3] = (bits[p >> 3] ?? 0) | (1 << (p & 7));
  const user = new WireWriter().int8(FORMAT).text(address).int32(generation).bytes32(bits).bytes;
  const out = new WireWriter().int16(STANDARD_VERSION);
  return out.array([topic], (name) => out.text(name)).bytes32(user).bytes;
}

/** @returns null for what is no claim to `topic` at all */
export function decodeClaim(metadata: Buffer, topic: string): Claim | null {
  const standard = attempt(() => {
    const from = new WireReader(metadata);
    from.int16();
    return { topics: from.array(() => from.text()), user: from.raw(Math.max(from.int32(), 0)) };
  });
  if (standard === null || !standard.topics.includes(topic)) return null;
  return decodeUserClaim(standard.user, topic) ?? { topic, address: null, generation: NO_GENERATION, owned: [] };
}

function decodeUserClaim(user: Buffer, topic: string): Claim | null {
  return attempt(() => {
    const from = new WireReader(user);
    if (from.int8() !== FORMAT) return null;
    const [address, generation] = [from.text(), from.int32()];
    const bits = from.raw(from.int32());
    const owned: number[] = [];
    for (let p = 0; p < bits.length * 8; p += 1) if (((bits[p >> 3] ?? 0) & (1 << (p & 7))) !== 0) owned.push(p);
    return { topic, address, generation, owned };
  });
}

interface EncodedShare {
  readonly topic: string;
  readonly partitions: readonly number[];
  /** The same for all members of a generation. */
  readonly user: Buffer;
}

function encodeShare({ topic, partitions, user }: EncodedShare): Buffer {
  const out = new WireWriter().int16(STANDARD_VERSION);
  out.array([topic], (name) => out.text(name).array(partitions, (p) => out.int32(p)));
  return out.bytes32(user).bytes;
}

/** @param expected of the topic; what the leader shares out beyond is left alone */
export function decodeShare(bytes: Buffer, expected: { readonly topic: string; readonly partitions: number }): Share {
  const nothing: Share = { partitions: [], owners: [], previous: NO_GENERATION };
  const standard = attempt(() => {
    const from = new WireReader(bytes);
    from.int16();
    const topics = from.array(() => ({ topic: from.text(), partitions: from.array(() => from.int32()) }));
    return { topics, user: from.raw(Math.max(from.int32(), 0)) };
  });
  if (standard === null) return nothing;
  const given = standard.topics.find(({ topic }) => topic === expected.topic)?.partitions ?? [];
  const partitions = given.filter((p) => p >= 0 && p < expected.partitions).sort((a, b) => a - b);
  return { ...nothing, ...decodeTable(standard.user), partitions };
}

/** Who is where: addresses, then for each partition the place of its owner's address plus one, 0 for none. */
function encodeTable(previous: number, owners: readonly (string | null)[]): Buffer {
  const addresses = [...new Set(owners.filter((owner) => owner !== null))];
  const places = new Map(addresses.map((address, index) => [address, index + 1]));
  const out = new WireWriter().int8(FORMAT).int32(previous);
  out.array(addresses, (address) => out.text(address));
  return out.array(owners, (owner) => out.uvarint(owner === null ? 0 : (places.get(owner) ?? 0))).bytes;
}

function decodeTable(user: Buffer): Pick<Share, "owners" | "previous"> | null {
  return attempt(() => {
    const from = new WireReader(user);
    if (from.int8() !== FORMAT) return null;
    const previous = from.int32();
    const addresses = from.array(() => from.text());
    return { previous, owners: from.array(() => addresses[from.uvarint() - 1] ?? null) };
  });
}

export interface Leading {
  readonly topic: string;
  readonly partitions: number;
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
  readonly previous: number;
}

/** The leader's work: a share for each member. Those whose metadata is no claim to the topic get an empty one. */
export function shareOut({ topic, partitions, members, previous }: Leading): readonly {
  readonly memberId: string;
  readonly share: Buffer;
}[] {
  const claims = members.flatMap(({ memberId, metadata }) => {
    const claim = decodeClaim(metadata, topic);
    return claim === null ? [] : [{ id: memberId, ...claim }];
  });
  const shares = assignSticky(partitions, claims);
  const owners = new Array<string | null>(partitions).fill(null);
  for (const { id, address } of claims) for (const p of shares.get(id) ?? []) owners[p] = address;
  const user = encodeTable(previous, owners);
  return members.map(({ memberId }) => {
    return { memberId, share: encodeShare({ topic, partitions: shares.get(memberId) ?? [], user }) };
  });
}

/** null where the bytes end too early: whoever wrote them means something else. */
function attempt<T>(read: () => T | null): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}
