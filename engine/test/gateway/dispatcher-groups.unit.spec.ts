/** Several processes that hand out the steps of one app: who has which partition, and what a change of hands does. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { offset } from "@eddy/schemas";
import { LINGER_MS } from "../../../clients/src/dispatch/group-membership.js";
import { StepDispatcher } from "../../../clients/src/dispatch/step-dispatcher.js";
import { ConfigError, FencedError, InvariantViolation, TransientError } from "../../../clients/src/errors/codes.js";
import type { GroupListener, GroupMember, Groups, GroupSpec } from "../../../clients/src/ports/groups.js";
import type { GroupOffset } from "../../../clients/src/ports/log.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { APP, DispatcherWorld, runOn, type FakeWorker } from "./dispatcher-fixtures.js";
import { inboxOfKind, NO_STATES, PARTITIONS, settle, TOPICS, until } from "./fixtures.js";

const ALL = Array.from({ length: PARTITIONS }, (_, partition) => partition);

let d: DispatcherWorld;
let others: StepDispatcher[];
beforeEach(async () => {
  d = await DispatcherWorld.make();
  others = [];
});
afterEach(async () => {
  await Promise.all(others.map((other) => other.stop()));
  await d.close();
});

async function another(): Promise<StepDispatcher> {
  const other = d.make();
  others.push(other);
  await other.start();
  return other;
}

const committed = (partition: number) => d.world.log.groupOffset(TOPICS.workerGroup(APP), TOPICS.steps(APP), partition);

/** Lets the linger pass. */
async function linger(): Promise<void> {
  await settle();
  d.world.clock.advance(LINGER_MS);
  await settle();
}

describe("step dispatchers that share an app", () => {
  it("are members only while they have workers", async () => {
    const other = await another();
    await settle();
    expect([d.dispatcher.partitions, other.partitions]).toEqual([[], []]);
    d.worker("w", 1);
    await until("all partitions", () => d.dispatcher.partitions.length === PARTITIONS);
    expect(other.partitions).toEqual([]);
    d.worker("o", 1, other);
    await until("half each", () => other.partitions.length === 2 && d.dispatcher.partitions.length === 2);
    expect([...d.dispatcher.partitions, ...other.partitions].sort()).toEqual(ALL);
  });

  it("leave some seconds after the last worker went, and stay for one that comes back", async () => {
    const joins = vi.spyOn(d.world.groups, "join");
    const other = await another();
    const worker = d.worker("w", 1);
    d.worker("o", 1, other);
    await until("half each", () => other.partitions.length === 2);
    const before = d.dispatcher.partitions;
    worker.session.detach();
    await settle();
    d.world.clock.advance(LINGER_MS - 1);
    await settle();
    const back = d.worker("w", 1);
    await linger();
    expect(d.dispatcher.partitions).toEqual(before);
    expect(joins).toHaveBeenCalledTimes(2);
    back.session.detach();
    await linger();
    expect(d.dispatcher.partitions).toEqual([]);
    expect(other.partitions).toEqual(ALL);
    d.worker("w", 1);
    await until("a member again", () => d.dispatcher.partitions.length === 2);
  });

  it("do not count a worker that drains", async () => {
    const worker = d.worker("w", 1);
    await until("a member", () => d.dispatcher.partitions.length === PARTITIONS);
    worker.send({ kind: "drain" });
    await linger();
    expect(d.dispatcher.partitions).toEqual([]);
  });

  it("hand out each request once, whoever joins and leaves", async () => {
    const worker = d.worker("w", 1_000);
    const other = await another();
    const runs = Array.from({ length: 60 }, (_, no) => runOn(no % PARTITIONS, no));
    for (const run of runs.slice(0, 20)) await d.request(run);
    const second = d.worker("o", 1_000, other);
    for (const run of runs.slice(20, 40)) await d.request(run);
    const given = (): string[] => [...worker.given(), ...second.given()].sort();
    await until("forty", () => given().length === 40);
    await until("the second has some", () => second.given().length > 0);
    worker.session.detach();
    await linger();
    for (const run of runs.slice(40)) await d.request(run);
    await until("sixty", () => given().length === 60);
    await settle();
    expect(given()).toEqual(runs.map((run) => `${run}/1`).sort());
    const before = worker.given().length;
    expect(second.given().length).toBe(60 - before);
  });

  it("finish the commit under way before they give up a place, and send what it was for", async () => {
    const worker = d.worker("w", 1);
    await until("a member", () => d.dispatcher.partitions.length === PARTITIONS);
    let release = (): void => undefined;
    d.world.log.beforeCommit = () => new Promise((resolve) => (release = resolve));
    const runs = [0, 1, 2, 3].map((partition) => runOn(partition, 1));
    await d.request(runs[0] as string);
    await settle();
    d.world.log.beforeCommit = () => undefined;
    const other = await another();
    d.worker("o", 10, other);
    await settle();
    expect(other.partitions).toEqual([]);
    expect(worker.given()).toEqual([]);
    release();
    await until("half each", () => other.partitions.length === 2);
    await until("the request", () => worker.given().length === 1);
    expect(await committed(0)).toMatchObject({ offset: 1 });
  });

  it("do not hold up the others while no slot is free", async () => {
    const worker = d.worker("w", 1);
    for (const partition of ALL) for (const no of [1, 2]) await d.request(runOn(partition, no));
    await until("the only slot is taken", () => worker.given().length === 1);
    await settle();
    const other = await another();
    const second = d.worker("o", 100, other);
    await until("what is the other's now", () => second.given().length >= 3);
    expect(d.dispatcher.partitions).toHaveLength(2);
    expect(worker.given()).toHaveLength(1);
  });

  it("go on with the same partitions as if nothing had happened", async () => {
    const worker = d.worker("w", 100);
    const other = await another();
    d.worker("o", 100, other);
    await until("half each", () => other.partitions.length === 2);
    const [kept] = d.dispatcher.partitions as [number];
    const at = await d.request(runOn(kept, 1));
    await until("the first", () => worker.given().length === 1);
    await until("said", async () => (await inboxOfKind(d.world.log, kept, "delivered")).length === 1);
    others = [];
    await other.stop();
    await until("all partitions", () => d.dispatcher.partitions.length === PARTITIONS);
    await d.request(runOn(kept, 2), 1, at + 1);
    await until("the next", () => worker.given().length === 2);
    expect(worker.given()).toEqual([`${runOn(kept, 1)}/1`, `${runOn(kept, 2)}/1`]);
    expect(await inboxOfKind(d.world.log, kept, "delivered")).toHaveLength(1);
  });

  it("leave at once when they retire; what workers have goes on", async () => {
    const worker = d.worker("w", 5);
    const run = runOn(0, 1);
    await d.request(run);
    await until("the request", () => worker.given().length === 1);
    const other = await another();
    const second = d.worker("o", 5, other);
    await until("half each", () => other.partitions.length === 2);
    await d.dispatcher.retire();
    await until("all partitions", () => other.partitions.length === PARTITIONS);
    await d.request(runOn(0, 2));
    await until("the next goes to the other", () => second.given().length === 1);
    await worker.finish(run);
    expect(worker.link.closed).toBeNull();
    d.worker("late", 1);
    await linger();
    expect(d.dispatcher.partitions).toEqual([]);
  });
});

/** A group whose assignments are made by hand. */
class HandMadeGroups implements Groups {
  listener: GroupListener | null = null;
  readonly joined: GroupSpec[] = [];
  failsToJoin: Error | null = null;
  /** Awaited before each commit; throwing fails it. */
  beforeCommit: (partition: number) => void = () => undefined;
  beforeCommitted: (partition: number) => void = () => undefined;
  partitions: readonly number[] = [];

  join(spec: GroupSpec, listener: GroupListener): Promise<GroupMember> {
    this.joined.push(spec);
    if (this.failsToJoin !== null) return Promise.reject(this.failsToJoin);
    this.listener = listener;
    const { log } = d.world;
    const { group, topic } = spec;
    const partitions = (): readonly number[] => this.partitions;
    const member: GroupMember = {
      get partitions() {
        return partitions();
      },
      ownerOf: () => null,
      commit: async (partition: number, at: GroupOffset) => {
        this.beforeCommit(partition);
        await log.commitGroupOffset(group, topic, partition, at);
      },
      committed: async (partition: number) => {
        this.beforeCommitted(partition);
        return log.groupOffset(group, topic, partition);
      },
      leave: async () => {
        await listener.onRebalancing();
        this.assign([]);
      },
    };
    this.assign(this.partitions);
    return Promise.resolve(member);
  }
  assign(partitions: readonly number[]): void {
    this.partitions = partitions;
    this.listener?.onAssigned(partitions);
  }
}

describe("a step dispatcher in a group that moves on without it", () => {
  let groups: HandMadeGroups;
  let dispatcher: StepDispatcher;
  let worker: FakeWorker;
  beforeEach(async () => {
    groups = new HandMadeGroups();
    groups.partitions = [0, 1];
    dispatcher = new StepDispatcher(APP, {
      ...d.world,
      groups,
      meter: NO_METER,
      topics: TOPICS,
      states: NO_STATES,
    });
    others.push(dispatcher);
    await dispatcher.start();
    worker = d.worker("w", 10, dispatcher);
    await settle();
  });

  const fenced = (): never => {
    throw new FencedError("this member's generation is over");
  };

  it("joins the app's group over its steps", () => {
    expect(groups.joined).toEqual([
      { group: TOPICS.workerGroup(APP), topic: TOPICS.steps(APP), partitions: PARTITIONS, address: null },
    ]);
  });

  it("sends nothing that it could not commit, frees the slots, and waits for its next assignment", async () => {
    groups.beforeCommit = fenced;
    await d.request(runOn(0, 1));
    await settle();
    groups.beforeCommit = () => undefined;
    d.world.clock.advance(60_000);
    await d.request(runOn(0, 2));
    await settle();
    expect(worker.given()).toEqual([]);
    expect(dispatcher.inFlight).toBe(0);
    expect(dispatcher.failure).toBeNull();
    await d.request(runOn(1, 1));
    await until("its other partition goes on", () => worker.given().length === 1);
    await groups.listener?.onRebalancing();
    groups.assign([0]);
    await until("both", () => worker.given().length === 3);
    expect(worker.given().slice(1)).toEqual([`${runOn(0, 1)}/1`, `${runOn(0, 2)}/1`]);
  });

  it("re-reads where another committed while it was away, and says `delivered` for what that one lost", async () => {
    const first = await d.request(runOn(0, 1));
    await until("the first", () => worker.given().length === 1);
    groups.beforeCommit = fenced;
    const second = await d.request(runOn(0, 2));
    await settle();
    const metadata = JSON.stringify({ offset: second, index: 0 });
    const at = { offset: offset(2), metadata };
    await d.world.log.commitGroupOffset(TOPICS.workerGroup(APP), TOPICS.steps(APP), 0, at);
    groups.beforeCommit = () => undefined;
    await groups.listener?.onRebalancing();
    groups.assign([0, 1]);
    await d.request(runOn(0, 3));
    await until("the third", () => worker.given().length === 2);
    expect(worker.given()).toEqual([`${runOn(0, 1)}/1`, `${runOn(0, 3)}/1`]);
    const marks = async (): Promise<number[]> =>
      (await inboxOfKind(d.world.log, 0, "delivered")).map(({ mark }) => mark.offset);
    await until("said", async () => {
      d.world.clock.advance(1_000);
      return (await marks()).length >= 2;
    });
    expect(await marks()).toEqual(expect.arrayContaining([first]));
    expect((await marks()).at(-1)).toBeGreaterThanOrEqual(second);
  });

  it("hands out nothing between a rebalance and its assignment", async () => {
    await groups.listener?.onRebalancing();
    await d.request(runOn(0, 1));
    await settle();
    expect(worker.given()).toEqual([]);
    groups.assign([0]);
    await until("the request", () => worker.given().length === 1);
  });

  it("leaves to workers what they have when its partition goes", async () => {
    await d.request(runOn(0, 1));
    await until("the request", () => worker.given().length === 1);
    await groups.listener?.onRebalancing();
    groups.assign([]);
    await settle();
    expect(dispatcher.inFlight).toBe(1);
    expect(worker.link.of("abort")).toEqual([]);
    await worker.finish(runOn(0, 1));
  });

  it("gives back the requests of a lost partition whose worker left during the commit", async () => {
    let commit = (): void => undefined;
    d.world.log.beforeCommit = () => new Promise((resolve) => (commit = resolve));
    await d.request(runOn(0, 1));
    await settle();
    worker.session.detach();
    commit();
    await settle();
    await groups.listener?.onRebalancing();
    groups.assign([1]);
    const next = d.worker("next", 5, dispatcher);
    await settle();
    expect(next.given()).toEqual([]);
    expect(await inboxOfKind(d.world.log, 0, "declined")).toEqual([
      { kind: "declined", runId: runOn(0, 1), invocation: 1 },
    ]);
  });

  it("goes on with the others where one partition cannot be read, and says so", async () => {
    groups.beforeCommitted = (partition) => {
      if (partition === 2) throw new InvariantViolation("the disk says no");
    };
    await groups.listener?.onRebalancing();
    groups.assign([0, 2]);
    await d.request(runOn(0, 1));
    await until("the other's", () => worker.given().length === 1);
    expect(dispatcher.failure).toMatchObject({ message: "the disk says no" });
    groups.beforeCommitted = () => undefined;
    await groups.listener?.onRebalancing();
    groups.assign([0, 2]);
    await d.request(runOn(2, 1));
    await until("its request", () => worker.given().length === 2);
    expect(dispatcher.failure).toBeNull();
  });

  it("waits for brokers that cannot tell where to begin", async () => {
    let failures = 2;
    groups.beforeCommitted = () => {
      if (failures-- > 0) throw new TransientError("not now");
    };
    await groups.listener?.onRebalancing();
    groups.assign([3]);
    await d.request(runOn(3, 1));
    await until("the request", () => {
      d.world.clock.advance(100);
      return worker.given().length === 1;
    });
    expect(dispatcher.failure).toBeNull();
  });
});

describe("a step dispatcher that is not let into its group", () => {
  it("says why and goes on trying, while it has a worker", async () => {
    const groups = new HandMadeGroups();
    groups.failsToJoin = new ConfigError("no permission for the group");
    const dispatcher = new StepDispatcher(APP, {
      ...d.world,
      groups,
      meter: NO_METER,
      topics: TOPICS,
      states: NO_STATES,
    });
    others.push(dispatcher);
    await dispatcher.start();
    const worker = d.worker("w", 1, dispatcher);
    await until("the reason", () => dispatcher.failure);
    expect(dispatcher.failure).toMatchObject({ code: "CONFIG_INVALID" });
    groups.failsToJoin = new TransientError("not now");
    await until("another try", () => {
      d.world.clock.advance(100);
      return groups.joined.length >= 3;
    });
    groups.failsToJoin = null;
    groups.partitions = [0];
    await d.request(runOn(0, 1));
    await until("the request", () => {
      d.world.clock.advance(1_000);
      return worker.given().length === 1;
    });
    expect(dispatcher.failure).toBeNull();
  });
});
