/**
 * The Groups port's contract, M1-M6 of ports/groups.ts, for every adapter: call it inside the adapter's spec file. What
 * needs connections that break and processes that pause (M4, M7) is with the adapter on Kafka.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClosedError, ConfigError, FencedError } from "../../../clients/src/errors/codes.js";
import { GROUP, Listener, PARTITIONS, TOPIC, areSettled, gate, ownersAmong, position } from "./groups-world.js";
import type { GroupsWorld, Joined } from "./groups-world.js";

const SPEC = { group: GROUP, topic: TOPIC, partitions: PARTITIONS };
const ALL = Array.from({ length: PARTITIONS }, (_, p) => p);

export function groupsContract(adapter: string, makeWorld: () => Promise<GroupsWorld>): void {
  describe(`groups contract: ${adapter}`, () => {
    let world: GroupsWorld;
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(() => world.dispose());

    const join = async (address: string | null = null, group = GROUP): Promise<Joined> => {
      const listener = new Listener();
      const groups = await world.process();
      return { listener, member: await groups.join({ ...SPEC, group, address }, listener) };
    };
    const settled = (...members: readonly Joined[]): Promise<void> =>
      world.until(() => areSettled(members), "all partitions are shared");
    /** Members that have settled, `count` of them. */
    const groupOf = async (count: number): Promise<Joined[]> => {
      const members: Joined[] = [];
      for (let i = 0; i < count; i += 1) members.push(await join(`http://m${i}`));
      await settled(...members);
      return members;
    };

    describe("M1 shares", () => {
      it("gives all to the only member, before join resolves", async () => {
        const { member, listener } = await join();
        expect(listener.calls).toEqual([ALL]);
        expect(member.partitions).toEqual(ALL);
      });
      it("stay equal and move as little as possible while members come and go", async () => {
        const members = await groupOf(1);
        for (const change of ["join", "join", "join", "leave", "join", "leave", "leave"]) {
          const before = ownersAmong(members);
          if (change === "join") members.push(await join());
          else await members.shift()?.member.leave();
          await settled(...members);
          const moved = ownersAmong(members).filter((owner, p) => owner !== before[p]);
          const larger = Math.ceil(PARTITIONS / (change === "join" ? members.length : members.length + 1));
          expect(moved.length, `moved by ${change} at ${members.length}`).toBeLessThanOrEqual(larger);
          for (const { member, listener } of members) expect(member.partitions).toEqual(listener.assigned);
        }
      });
      it("come at once to many who join together", async () => {
        const members = await Promise.all(["a", "b", "c", "d", "e"].map(() => join()));
        await settled(...members);
      });
      it("may be empty, where members are more than partitions", async () => {
        const members = await groupOf(PARTITIONS + 1);
        expect(members.filter(({ member }) => member.partitions.length === 0)).toHaveLength(1);
      });
      it("are of one group: others have their own", async () => {
        const [one, other] = [await join(), await join(null, "g.other")];
        expect([one.member.partitions, other.member.partitions]).toEqual([ALL, ALL]);
        expect(one.listener.calls).toEqual([ALL]);
      });
    });

    describe("M2 rebalancing", () => {
      it("waits for members to finish, and accepts what they commit meanwhile", async () => {
        const [first] = (await groupOf(1)) as [Joined];
        const door = gate();
        first.listener.meanwhile = async () => {
          await door.opened;
          for (const p of first.member.partitions) await first.member.commit(p, position(7, "done"));
        };
        let isIn = false;
        const joining = join().then((joined) => {
          isIn = true;
          return joined;
        });
        await world.until(() => first.listener.isRebalancing, "the member is asked to finish");
        expect(first.member.partitions).toEqual(ALL);
        expect(isIn).toBe(false);
        door.open();
        const second = await joining;
        await settled(first, second);
        expect(second.member.partitions).toHaveLength(PARTITIONS / 2);
        for (const p of second.member.partitions) expect(await second.member.committed(p)).toEqual(position(7, "done"));
      });
      it("ends with an assignment, also where everything stays", async () => {
        const members = await groupOf(PARTITIONS);
        const before = members.map(({ listener }) => ({
          listener,
          share: listener.assigned,
          told: listener.calls.length,
        }));
        const idle = await join();
        await settled(...members, idle);
        await world.until(
          () => before.every(({ listener, told }) => listener.calls.length === told + 2),
          "all are told",
        );
        for (const { listener, share } of before) expect(listener.assigned).toEqual(share);
      });
      it("is one for several changes that come while it waits", async () => {
        const [first] = (await groupOf(1)) as [Joined];
        const door = gate();
        first.listener.meanwhile = () => door.opened;
        const joining = [join(), join()];
        await world.until(() => first.listener.isRebalancing, "the member is asked to finish");
        door.open();
        first.listener.meanwhile = () => Promise.resolve();
        await settled(first, ...(await Promise.all(joining)));
      });
    });

    describe("M3 commits", () => {
      it("are kept with their text, newest last, and none is null", async () => {
        const { member } = await join();
        expect(await member.committed(3)).toBeNull();
        await member.commit(3, position(5, "five"));
        await member.commit(3, position(6, "six"));
        expect(await member.committed(3)).toEqual(position(6, "six"));
        expect(await member.committed(4)).toBeNull();
      });
      it("at once end with the newest", async () => {
        const { member } = await join();
        await Promise.all([1, 2, 3, 4].flatMap((n) => ALL.map((p) => member.commit(p, position(n, `${n}`)))));
        for (const p of ALL) expect(await member.committed(p)).toEqual(position(4, "4"));
      });
      it("of a partition that went to another member are fenced and store nothing", async () => {
        const [first, second] = (await groupOf(2)) as [Joined, Joined];
        const lost = second.member.partitions[0] ?? -1;
        await second.member.commit(lost, position(9, "owner"));
        await expect(first.member.commit(lost, position(1, "zombie"))).rejects.toThrow(FencedError);
        expect(await first.member.committed(lost)).toEqual(position(9, "owner"));
      });
      it("outlive the group, and are what the log shows", async () => {
        const first = await join();
        await first.member.commit(0, position(4, "mark"));
        await first.member.leave();
        const second = await join();
        expect(await second.member.committed(0)).toEqual(position(4, "mark"));
        expect(await world.log.groupOffset(GROUP, TOPIC, 0)).toEqual(position(4, "mark"));
      });
    });

    describe("M5 leaving", () => {
      it("gives partitions to the others, tells the listener first, and happens once", async () => {
        const [first, second] = (await groupOf(2)) as [Joined, Joined];
        first.listener.meanwhile = () => first.member.commit(first.member.partitions[0] ?? -1, position(3, "last"));
        const [kept] = first.member.partitions;
        await Promise.all([first.member.leave(), first.member.leave()]);
        expect(first.listener.calls.slice(-2)).toEqual(["rebalancing", []]);
        expect(first.member.partitions).toEqual([]);
        await settled(second);
        expect(await second.member.committed(kept ?? -1)).toEqual(position(3, "last"));
        await expect(first.member.commit(0, position(8))).rejects.toThrow(ClosedError);
        const told = first.listener.calls.length;
        await first.member.leave();
        expect(first.listener.calls).toHaveLength(told);
      });
      it("in the middle of a rebalance waits for it and takes part no more", async () => {
        const [first, second] = (await groupOf(2)) as [Joined, Joined];
        const door = gate();
        first.listener.meanwhile = () => door.opened;
        const joining = join();
        await world.until(() => first.listener.isRebalancing, "the member is asked to finish");
        const leaving = first.member.leave();
        door.open();
        await leaving;
        await settled(second, await joining);
        expect(first.listener.assigned).toEqual([]);
      });
      it("of the last one leaves the group to whoever comes", async () => {
        const [first] = (await groupOf(1)) as [Joined];
        await first.member.leave();
        expect((await join()).member.partitions).toEqual(ALL);
      });
    });

    describe("M6 addresses", () => {
      it("of all owners are known to each member; null where there is none", async () => {
        const members = [await join("http://a:1"), await join("http://b:2"), await join(null)];
        await settled(...members);
        const addresses = ["http://a:1", "http://b:2", null];
        const owners = ownersAmong(members).map((owner) => addresses[members.findIndex((each) => each === owner)]);
        for (const { member } of members) expect(ALL.map((p) => member.ownerOf(p))).toEqual(owners);
        expect(members[0]?.member.ownerOf(PARTITIONS)).toBeNull();
      });
      it("follow a partition to its next owner", async () => {
        const [first, second] = (await groupOf(2)) as [Joined, Joined];
        await second.member.leave();
        await settled(first);
        expect(ALL.map((p) => first.member.ownerOf(p))).toEqual(ALL.map(() => "http://m0"));
      });
    });

    it("refuses a member that shares out another number of partitions", async () => {
      await join();
      const groups = await world.process();
      const other = { ...SPEC, partitions: PARTITIONS + 1, address: null };
      await expect(groups.join(other, new Listener())).rejects.toThrow(ConfigError);
    });
  });
}
