import { createRequire } from "node:module";
import fc from "fast-check";
import { AssignerProtocol } from "kafkajs";
import { describe, expect, it } from "vitest";
import { NO_GENERATION, decodeClaim, decodeShare, encodeClaim, shareOut } from "../../src/kafka/group-protocol.js";
import { heartbeatRequest, joinRequest, leaveRequest, syncRequest } from "../../src/kafka/group-requests.js";
import type { WireRequest } from "../../src/kafka/requests.js";
import { WireWriter } from "../../src/kafka/wire.js";

const TOPIC = "eddy.test.steps.shop";
const EXPECTED = { topic: TOPIC, partitions: 8 };

const claims = fc.record({
  topic: fc.constant(TOPIC),
  address: fc.option(fc.webUrl()),
  generation: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
  owned: fc.uniqueArray(fc.integer({ min: 0, max: 4_095 })).map((owned) => owned.sort((a, b) => a - b)),
});

describe("claims", () => {
  it("read as they were written", () => {
    fc.assert(
      fc.property(claims, (claim) => {
        expect(decodeClaim(encodeClaim(claim), TOPIC)).toEqual(claim);
      }),
    );
  });
  it("are of one topic: to others they are none", () => {
    const claim = encodeClaim({ topic: "other", address: null, generation: 1, owned: [1] });
    expect(decodeClaim(claim, TOPIC)).toBeNull();
  });
  it("are what Kafka's consumers write, for tools that list subscriptions", () => {
    const claim = encodeClaim({ topic: TOPIC, address: "http://a:1", generation: 4, owned: [0, 9] });
    expect(AssignerProtocol.MemberMetadata.decode(claim)).toMatchObject({ version: 0, topics: [TOPIC] });
  });
  it("of other versions are taken for a member that has nothing", () => {
    for (const userData of [Buffer.alloc(0), Buffer.from([2, 1, 1]), Buffer.from([1, 0])]) {
      const claim = AssignerProtocol.MemberMetadata.encode({ version: 3, topics: [TOPIC], userData });
      expect(decodeClaim(claim, TOPIC)).toEqual({ topic: TOPIC, address: null, generation: NO_GENERATION, owned: [] });
    }
  });
});

const leading = (members: readonly { readonly memberId: string; readonly metadata: Buffer }[], previous = 6) =>
  new Map(shareOut({ ...EXPECTED, members, previous }).map(({ memberId, share }) => [memberId, share]));
const member = (memberId: string, owned: readonly number[], generation = 6) => {
  const address = memberId === "c" ? null : `http://${memberId}`;
  return { memberId, metadata: encodeClaim({ topic: TOPIC, address, generation, owned }) };
};

describe("shares", () => {
  it("tell each member what it has, who has what, and whose shares came before", () => {
    const shares = leading([member("a", [0, 1, 2, 3]), member("b", [4, 5]), member("c", [6, 7])]);
    const owners = ["http://a", "http://a", "http://a", "http://b", "http://b", "http://b", null, null];
    const given = ["a", "b", "c"].map((id) => decodeShare(shares.get(id) ?? Buffer.alloc(0), EXPECTED));
    expect(given.map(({ partitions }) => partitions)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 7],
    ]);
    for (const share of given) expect(share).toMatchObject({ owners, previous: 6 });
  });
  it("follow the newer of two claims", () => {
    const shares = leading([member("a", [0, 1, 2, 3], 4), member("b", [2, 3, 4, 5], 6)]);
    expect(decodeShare(shares.get("b") ?? Buffer.alloc(0), EXPECTED).partitions).toEqual([2, 3, 4, 5]);
  });
  it("go to members of other versions too, and are empty for what is no member of ours", () => {
    const foreign = AssignerProtocol.MemberMetadata.encode({ version: 1, topics: ["x"], userData: Buffer.alloc(0) });
    const newer = AssignerProtocol.MemberMetadata.encode({ version: 9, topics: [TOPIC], userData: Buffer.from([9]) });
    const members = [
      member("a", []),
      { memberId: "foreign", metadata: foreign },
      { memberId: "newer", metadata: newer },
      { memberId: "silent", metadata: Buffer.alloc(0) },
    ];
    const sizes = [...leading(members)].map(([id, share]) => [id, decodeShare(share, EXPECTED).partitions.length]);
    expect(sizes).toEqual([
      ["a", 4],
      ["foreign", 0],
      ["newer", 4],
      ["silent", 0],
    ]);
  });
  it("of partitions that this member does not know are left alone", () => {
    const share = leading([member("a", [])]).get("a") ?? Buffer.alloc(0);
    expect(decodeShare(share, { topic: TOPIC, partitions: 3 }).partitions).toEqual([0, 1, 2]);
  });
  it("whatever a leader of another version writes, nothing is thrown", () => {
    const truth = leading([member("a", [1]), member("b", [2])]).get("a") ?? Buffer.alloc(0);
    for (let length = 0; length < truth.length; length += 1) {
      const { partitions } = decodeShare(truth.subarray(0, length), EXPECTED);
      expect(partitions).toEqual([]);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(decodeShare(Buffer.from(bytes), EXPECTED).partitions.every((p) => p >= 0 && p < 8)).toBe(true);
        decodeClaim(Buffer.from(bytes), TOPIC);
      }),
    );
  });
});

describe("requests", () => {
  const load = createRequire(import.meta.url);
  const encoded = async (path: string, given: object): Promise<Buffer> => {
    const { encode } = load(`kafkajs/src/protocol/requests/${path}/request`)(given) as {
      encode: () => Promise<{ buffer: Buffer }>;
    };
    return (await encode()).buffer;
  };
  const identity = { memberId: "m-1", generation: 7 };
  const metadata = Buffer.from("metadata");
  const join = { group: "g", memberId: "m-1", sessionMs: 10_000, rebalanceMs: 30_000, protocol: "eddy-1", metadata };
  const sync = { group: "g", ...identity, shares: [{ memberId: "m-1", share: metadata }] };
  it.each<[string, WireRequest<unknown>, object]>([
    [
      "joinGroup/v5",
      joinRequest(join),
      {
        groupId: "g",
        sessionTimeout: 10_000,
        rebalanceTimeout: 30_000,
        memberId: "m-1",
        protocolType: "consumer",
        groupProtocols: [{ name: "eddy-1", metadata }],
      },
    ],
    [
      "syncGroup/v3",
      syncRequest(sync),
      {
        groupId: "g",
        generationId: 7,
        memberId: "m-1",
        groupAssignment: [{ memberId: "m-1", memberAssignment: metadata }],
      },
    ],
    ["heartbeat/v3", heartbeatRequest("g", identity), { groupId: "g", groupGenerationId: 7, memberId: "m-1" }],
    ["leaveGroup/v2", leaveRequest("g", "m-1"), { groupId: "g", memberId: "m-1" }],
  ])("%s is what kafkajs sends", async (path, request, given) => {
    expect(request.encode()).toEqual(await encoded(path, given));
    expect(path.endsWith(`/v${request.apiVersion}`)).toBe(true);
  });
  it("read the answers to a join and a sync", () => {
    const joined = new WireWriter().int32(0).int16(0).int32(8).text("eddy-1").text("m-1").text("m-2");
    joined.array(["m-1", "m-2"], (id) => joined.text(id).text(null).bytes32(metadata));
    const members = ["m-1", "m-2"].map((memberId) => ({ memberId, metadata }));
    const answer = { errorCode: 0, generation: 8, leaderId: "m-1", memberId: "m-2", members };
    expect(joinRequest(join).decode(joined.bytes)).toEqual(answer);
    const synced = new WireWriter().int32(0).int16(27).bytes32(Buffer.alloc(0));
    expect(syncRequest(sync).decode(synced.bytes)).toEqual({ errorCode: 27, share: Buffer.alloc(0) });
    expect(leaveRequest("g", "m").decode(new WireWriter().int32(0).int16(25).bytes)).toBe(25);
  });
});
