/** One member against a coordinator that does what the test says: what cannot be brought about on a real one at will. */
import { describe, expect, it } from "vitest";
import { ManualClock } from "../../../engine/src/adapters/memory/index.js";
import { ClosedError, ConfigError, TransientError } from "../../src/errors/codes.js";
import type { ClusterView } from "../../src/kafka/cluster-view.js";
import { KafkaGroupMember } from "../../src/kafka/group-member.js";
import type { KafkaGroupMemberDeps } from "../../src/kafka/group-member.js";
import { encodeClaim, shareOut } from "../../src/kafka/group-protocol.js";
import type { Identity } from "../../src/kafka/group-requests.js";
import { KafkaClient } from "../../src/kafka/kafka-client.js";
import { BrokerError, UnansweredError } from "../../src/kafka/kafka-errors.js";
import { Listener, gate } from "../../../engine/test/contracts/groups-world.js";
import { SILENT } from "./kafka-world.js";

const TOPIC = "t";
const SPEC = { group: "g", topic: TOPIC, partitions: 4, address: null };
const TIMES = { sessionMs: 10_000, heartbeatMs: 1_000, rebalanceMs: 30_000 };
const [ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCE] = [22, 25, 27];
const REFUSED = 30;

type Deps = KafkaGroupMemberDeps["coordinator"];

/** A group of this member and of one that owns what it is told to; generations count up. */
class Coordinator implements Deps {
  generation = 0;
  /** Kafka's numbers, or errors, that the next requests end with. */
  readonly joins: unknown[] = [];
  readonly syncs: unknown[] = [];
  readonly heartbeats: unknown[] = [];
  readonly said: string[] = [];
  /** What the other member claims; null: there is none. */
  other: readonly number[] | null = null;
  otherLeads = false;
  /** Awaited by joins. */
  line: Promise<void> = Promise.resolve();
  /** By the other as the leader: whose shares came before. */
  previous: number | null = null;
  #claim: Buffer = Buffer.alloc(0);

  async join(memberId: string, metadata: Buffer, onMemberId: (memberId: string) => void) {
    this.said.push(`join ${memberId}`);
    onMemberId("me");
    await this.line;
    fail(this.joins);
    this.generation += 1;
    this.#claim = metadata;
    const leaderId = this.otherLeads ? "you" : "me";
    return { errorCode: 0, generation: this.generation, leaderId, memberId: "me", members: this.#members() };
  }
  async sync({ generation }: Identity, shares: readonly { readonly memberId: string; readonly share: Buffer }[]) {
    fail(this.syncs);
    const previous = this.previous ?? generation - 1;
    const given = this.otherLeads ? shareOut({ ...SPEC, members: this.#members(), previous }) : shares;
    return given.find(({ memberId }) => memberId === "me")?.share ?? Buffer.alloc(0);
  }
  async heartbeat(): Promise<void> {
    this.said.push("heartbeat");
    fail(this.heartbeats);
  }
  async leave(memberId: string): Promise<void> {
    this.said.push(`leave ${memberId}`);
  }
  reconsider(): void {
    this.said.push("reconsider");
  }
  disconnect(): void {
    this.said.push("disconnect");
  }

  #members() {
    const me = { memberId: "me", metadata: this.#claim };
    if (this.other === null) return [me];
    const claim = { topic: TOPIC, address: "http://you", generation: this.generation - 1, owned: this.other };
    return [me, { memberId: "you", metadata: encodeClaim(claim) }];
  }
}

function fail(script: unknown[]): void {
  const next = script.shift();
  if (typeof next === "number") throw new BrokerError(next);
  if (next instanceof Error) throw next;
}

const turns = async (count = 50): Promise<void> => {
  for (let i = 0; i < count; i += 1) await Promise.resolve();
};

function world() {
  const clock = new ManualClock();
  const cluster = { close: () => undefined } as unknown as ClusterView;
  const client = new KafkaClient({ cluster, clock, logger: SILENT, requestMsMax: 1_000, patienceMs: 5_000 });
  const [coordinator, listener] = [new Coordinator(), new Listener()];
  const committed = () => Promise.resolve(null);
  let ends = 0;
  const onEnd = () => (ends += 1);
  const deps = { client, coordinator, times: TIMES, spec: SPEC, listener, committed, onEnd };
  const member = new KafkaGroupMember(deps);
  /** Lets time pass, step by step. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      clock.advance(100);
      await turns();
    }
  };
  return { client, coordinator, listener, member, pass, ended: () => ends };
}

const ALL = [0, 1, 2, 3];

describe("a member of a group", () => {
  it("joins, stays by heartbeats, and joins again when it is told that the group changes", async () => {
    const { coordinator, listener, member, pass } = world();
    await member.start();
    expect(listener.calls).toEqual([ALL]);
    await pass(3_000);
    expect(coordinator.said.filter((said) => said === "heartbeat")).toHaveLength(3);
    coordinator.other = [];
    coordinator.heartbeats.push(REBALANCE);
    await pass(1_100);
    expect(listener.calls).toEqual([ALL, "rebalancing", [0, 1]]);
    expect(ALL.map((p) => member.ownerOf(p))).toEqual([null, null, "http://you", "http://you"]);
  });
  it.each([
    ["does not know", UNKNOWN_MEMBER, "join "],
    ["has another generation than", ILLEGAL_GENERATION, "join me"],
  ])("whom the coordinator %s it gives up all, then joins anew", async (_, code, join) => {
    const { coordinator, listener, member, pass } = world();
    await member.start();
    coordinator.heartbeats.push(code);
    const door = gate();
    coordinator.line = door.opened;
    await pass(1_200);
    expect(listener.calls).toEqual([ALL, "rebalancing", [], "rebalancing"]);
    expect(member.partitions).toEqual([]);
    expect(coordinator.said.filter((said) => said.startsWith("join")).at(-1)).toBe(join);
    door.open();
    await turns();
    expect(listener.calls.at(-1)).toEqual(ALL);
  });
  it("keeps its place by heartbeats while the listener finishes, and learns there that it lost it", async () => {
    const { coordinator, listener, member, pass } = world();
    await member.start();
    const door = gate();
    listener.meanwhile = () => door.opened;
    coordinator.heartbeats.push(REBALANCE, REBALANCE, REBALANCE, new UnansweredError("lost"), UNKNOWN_MEMBER);
    await pass(6_000);
    expect(coordinator.heartbeats).toEqual([]);
    expect(listener.calls).toEqual([ALL, "rebalancing"]);
    listener.meanwhile = () => Promise.resolve();
    door.open();
    await turns();
    expect(listener.calls).toEqual([ALL, "rebalancing", [], "rebalancing", ALL]);
  });

  describe("keeps a partition without a break", () => {
    it("over generations of which it knows, as their leader, that nobody got a share", async () => {
      const { coordinator, listener, member, pass } = world();
      await member.start();
      coordinator.heartbeats.push(REBALANCE);
      coordinator.syncs.push(REBALANCE, REBALANCE);
      await pass(2_000);
      expect(coordinator.generation).toBe(4);
      expect(listener.calls).toEqual([ALL, "rebalancing", ALL]);
    });
    it("over generations of which the leader says so", async () => {
      const { coordinator, listener, member, pass } = world();
      await member.start();
      Object.assign(coordinator, { other: [], otherLeads: true, previous: 1 });
      coordinator.heartbeats.push(REBALANCE);
      coordinator.syncs.push(new UnansweredError("lost"));
      await pass(2_000);
      expect(listener.calls).toEqual([ALL, "rebalancing", [0, 1]]);
    });
    it("only where nobody can have had it in between: else it is given up first", async () => {
      const { coordinator, listener, member, pass } = world();
      await member.start();
      Object.assign(coordinator, { other: [], otherLeads: true });
      coordinator.heartbeats.push(REBALANCE);
      coordinator.syncs.push(new UnansweredError("lost"));
      await pass(2_000);
      expect(coordinator.generation).toBe(3);
      expect(listener.calls).toEqual([ALL, "rebalancing", [], "rebalancing", [0, 1]]);
    });
  });

  describe("that is refused", () => {
    it("at first is a ConfigError, and tries no more", async () => {
      const { coordinator, member, ended } = world();
      coordinator.joins.push(REFUSED);
      await expect(member.start()).rejects.toThrow(ConfigError);
      await turns();
      expect(ended()).toBe(1);
    });
    it("later goes on trying, slowly", async () => {
      const { coordinator, listener, member, pass } = world();
      await member.start();
      coordinator.heartbeats.push(REFUSED, REFUSED);
      await pass(13_500);
      expect(coordinator.said.filter((said) => said === "heartbeat")).toHaveLength(3);
      expect(listener.calls).toEqual([ALL]);
    });
  });
  it("that gets no answer at first is a TransientError when patience ends", async () => {
    const { coordinator, member, pass } = world();
    coordinator.joins.push(...Array.from({ length: 100 }, () => new UnansweredError("nobody")));
    const starting = expect(member.start()).rejects.toThrow(TransientError);
    await pass(8_000);
    await starting;
    expect(coordinator.joins.length).toBeGreaterThan(80);
  });

  it("leaves from the middle of the line", async () => {
    const { coordinator, listener, member, pass } = world();
    await member.start();
    const door = gate();
    coordinator.line = door.opened;
    coordinator.heartbeats.push(REBALANCE);
    await pass(1_200);
    expect(coordinator.said.at(-1)).toBe("join me");
    coordinator.joins.push(new UnansweredError("disconnected"));
    const leaving = member.leave();
    expect(coordinator.said.at(-1)).toBe("disconnect");
    door.open();
    await leaving;
    expect(listener.calls).toEqual([ALL, "rebalancing", []]);
    expect(coordinator.said).toContain("leave me");
    await expect(member.commit(0, { offset: 1 as never, metadata: "" })).rejects.toThrow(ClosedError);
  });
  it("says goodbye without its listener when its log is closed", async () => {
    const { coordinator, client, listener, member, ended } = world();
    await member.start();
    await member.abandon();
    client.close();
    await turns();
    expect(listener.calls).toEqual([ALL]);
    expect(coordinator.said).toContain("leave me");
    expect(ended()).toBe(1);
    await expect(member.committed(0)).rejects.toThrow(ClosedError);
  });
});
