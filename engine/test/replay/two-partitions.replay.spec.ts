/**
 * Records from partition to partition (P5): in order, each once, none missing, though both partitions are taken over
 * again and again, and zombies send what their successors send.
 */
import { decodeInbox } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { MemoryStoreFactory } from "../../src/adapters/memory/index.js";
import { FencedError } from "../../../clients/src/errors/codes.js";
import type { PartitionOptions, PartitionTask } from "../../src/partition/index.js";
import type { Command } from "../partition/toy-core.js";
import { settle, topics, World } from "../partition/world.js";
import { Gate, gatedClock, gatedLog, gatedStores, type Fate } from "./gated-ports.js";
import { randomOf } from "./script.js";

const PARTITIONS = [0, 1] as const;
const LOSSES_MAX = 30;
const TURNS_MAX = 20_000;
const BIG_BYTES = 1_048_576;
const options: Partial<PartitionOptions> = {
  batchRecordsMax: 5,
  recordsMax: 12,
  changedRowsMax: 6,
  checkpointEveryMs: 300,
  unackedEffectsMax: 4,
  takeoversMax: 100,
};

/** Owns a partition, through crashes, failures and freezes at any call to a port, until it is left alone. */
class Owner {
  crashes = 0;
  zombies = 0;
  readonly #world: World;
  readonly #partition: number;
  readonly #random: (below: number) => number;
  #stores = new MemoryStoreFactory();
  #gate = new Gate();
  #task: PartitionTask;
  #frozen: { readonly gate: Gate; readonly task: PartitionTask }[] = [];
  #calm = false;

  constructor(world: World, partition: number, random: (below: number) => number) {
    this.#world = world;
    this.#partition = partition;
    this.#random = random;
    this.#task = this.#begun();
  }

  /** Is taken over where it crashed or froze; wakes zombies up. */
  tend(): void {
    const { failure, status } = this.#task;
    if (failure !== null && !(failure instanceof FencedError)) throw failure;
    if (status === "failed") {
      // A zombie that froze in its takeover went on with that.
      this.#task = this.#begun();
    } else if (this.#gate.crashed) {
      this.crashes++;
      this.#stores.crash(this.#random(3));
      this.#task = this.#begun();
    } else if (this.#gate.frozen) {
      this.zombies++;
      this.#frozen.push({ gate: this.#gate, task: this.#task });
      // Another process, with a disk of its own.
      this.#stores = new MemoryStoreFactory();
      this.#task = this.#begun();
    } else if (this.#random(30) === 0) {
      this.#frozen.shift()?.gate.thaw();
    }
  }
  leaveAlone(): void {
    this.#calm = true;
    for (const { gate } of this.#frozen) gate.thaw();
  }
  async hasAll(): Promise<boolean> {
    if (this.#task.status !== "running") return false;
    return this.#task.time().processedOffset === (await this.#world.end(topics.inbox, this.#partition)) - 1;
  }
  async end(): Promise<void> {
    for (const { task } of this.#frozen) await task.stop();
    await this.#task.stop();
    if (this.#task.failure !== null) throw this.#task.failure;
  }

  #begun(): PartitionTask {
    const gate = new Gate(() => this.#fate());
    this.#gate = gate;
    const task = this.#world.task({
      partition: this.#partition,
      options,
      log: gatedLog(gate, this.#world.log.session()),
      stores: gatedStores(gate, this.#stores),
      clock: gatedClock(gate, this.#world.clock),
    });
    task.start().catch(() => undefined);
    return task;
  }
  #fate(): Fate {
    const dice = this.#random(120);
    if (dice >= 8 || this.#calm) return "go";
    if (dice < 3) return dice === 0 ? "failBefore" : "failAfter";
    if (this.crashes + this.zombies >= LOSSES_MAX) return "go";
    return dice === 3 ? "freeze" : dice < 6 ? "crashBefore" : "crashAfter";
  }
}

async function pass(world: World, what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < TURNS_MAX; n++) {
    if (await done()) return;
    if (n % 5 === 4) world.clock.advance(50);
    await settle(1);
  }
  throw new Error(`not within ${TURNS_MAX} turns: ${what}`);
}

/** What a partition noted of each record that it took, in order. What it says of one cause, it always says. */
async function taken(world: World, partition: number): Promise<readonly string[]> {
  const noted = new Map<string, string>();
  for (const { cause, runId, what } of await world.history(partition)) {
    const text = `${runId}: ${what}`;
    if ((noted.get(cause) ?? text) !== text) throw new Error(`${cause} was ${noted.get(cause)}, and is ${text}`);
    noted.set(cause, text);
  }
  const inOrder = [...noted].sort(([a], [b]) => Number(a) - Number(b));
  return inOrder.map(([, text]) => text);
}

/** What `to` must have taken of `from`: one record for each effect, in the order of their causes. */
async function sent(world: World, from: number, to: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const { offset, value } of await world.records(topics.inbox, from)) {
    const record = decodeInbox(value ?? new Uint8Array());
    if (record.kind !== "event" || record.origin !== null) continue;
    const body = JSON.parse(new TextDecoder().decode(record.payload)) as Command;
    if (body.do !== "repeat" || body.to !== to) continue;
    for (let n = 0; n < body.n; n++) ids.push(`from ${from}: ${from}/${offset}.${n}`);
  }
  return ids;
}

describe("records from partition to partition", () => {
  it.each([1, 2, 3, 4])("come once, in order, whatever befalls their owners (seed %i)", async (seed) => {
    const random = randomOf(seed);
    const world = await World.make(2);
    const owners = PARTITIONS.map((partition) => new Owner(world, partition, random));
    const tended = (): void => owners.forEach((owner) => owner.tend());
    for (let n = 0; n < 60; n++) {
      for (const partition of PARTITIONS) {
        const bytes = random(15) === 0 ? BIG_BYTES - random(2) * 600_000 : random(2_000);
        await world.sendTo(partition, random(20), { do: "repeat", n: 1 + random(6), to: random(2), bytes });
      }
      let turns = random(60);
      await pass(world, "some turns", () => (tended(), turns-- <= 0));
    }
    for (const owner of owners) owner.leaveAlone();
    let quiet = 0;
    await pass(world, "all is applied, and nothing follows", async () => {
      tended();
      const all = await Promise.all(owners.map((owner) => owner.hasAll()));
      quiet = all.every(Boolean) ? quiet + 1 : 0;
      return quiet > 200;
    });
    for (const owner of owners) await owner.end();
    let repeats = 0;
    for (const to of PARTITIONS) {
      const all = await taken(world, to);
      for (const from of PARTITIONS) {
        const expected = await sent(world, from, to);
        expect(
          all.filter((text) => text.startsWith(`from ${from}:`)),
          `${from} to ${to}`,
        ).toEqual(expected);
        expect(expected.length).toBeGreaterThan(50);
        repeats -= expected.length;
      }
      repeats += (await world.records(topics.inbox, to)).length - 60;
    }
    // Or nothing was sent twice, and nothing was tried.
    expect(repeats).toBeGreaterThan(20);
    expect(owners.map(({ crashes }) => crashes > 3)).toEqual([true, true]);
    expect(owners.reduce((sum, { zombies }) => sum + zombies, 0)).toBeGreaterThan(0);
  });
});

describe("records to the own inbox", () => {
  it("get through while the task is as busy as it may be", async () => {
    const world = await World.make();
    const task = await world.started({ options: { ...options, unackedEffectsMax: 1, unackedBytesMax: 1 } });
    for (let n = 0; n < 30; n++)
      await world.send(0, { do: "repeat", n: 7, to: 0, bytes: n % 10 === 0 ? BIG_BYTES : 10 });
    await pass(world, "applied", async () => {
      if (task.failure !== null) throw task.failure;
      return task.time().processedOffset === 30 + 30 * 7 - 1;
    });
    await task.stop();
    expect(await taken(world, 0)).toEqual(await sent(world, 0, 0));
  });
});
