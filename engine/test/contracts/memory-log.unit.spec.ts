import { describe, expect, it } from "vitest";
import { ManualClock, MemoryLog } from "../../src/adapters/memory/index.js";
import { RECORD_BYTES_MAX } from "../../../clients/src/topic-rules.js";
import { FencedError } from "../../../clients/src/errors/codes.js";
import { logCleaningContract } from "./log-cleaning-contract.js";
import { logContract } from "./log-contract.js";
import { CHANGELOG, INBOX, at, readAll, record, records, valueOf } from "./log-world.js";
import type { LocalLogWorld } from "./log-world.js";

async function memoryWorld(): Promise<LocalLogWorld> {
  const clock = new ManualClock();
  const log = new MemoryLog(clock);
  const opened = [log];
  return {
    log,
    reopen: async () => {
      await log.close();
      opened.push(log.session());
      return opened.at(-1) ?? log;
    },
    passMs: (ms) => clock.advance(ms),
    recordBytesMax: RECORD_BYTES_MAX,
    nowMs: () => clock.nowMs(),
    setNowMs: (nowMs) => clock.set(nowMs),
    clean: async () => opened.at(-1)?.clean(),
    settled: () => Promise.resolve(),
    dispose: async () => {
      for (const each of opened) await each.close();
    },
  };
}

logContract("memory", memoryWorld);
logCleaningContract("memory", memoryWorld);

describe("memory log shared by processes", () => {
  it("shows one process what another appended, and wakes its waiting reader", async () => {
    const a = new MemoryLog(new ManualClock());
    const b = a.session();
    await a.ensureTopics([INBOX]);
    const read = b.reader(INBOX.name, 0, at(0)).read({ recordsMax: 1, waitMs: 1_000 });
    await a.append(INBOX.name, 0, records("x"));
    expect((await read).map(valueOf)).toEqual(["x"]);
  });
  it("L5 fences a writer of one process by a writer of another, and outlives the first one's close", async () => {
    const a = new MemoryLog(new ManualClock());
    const b = a.session();
    await a.ensureTopics([CHANGELOG]);
    const zombie = await a.openChangelogWriter(CHANGELOG.name, 0);
    const owner = await b.openChangelogWriter(CHANGELOG.name, 0);
    await expect(zombie.commit([record("k", "zombie")])).rejects.toThrow(FencedError);
    await a.close();
    await owner.commit([record("k", "owner")]);
    expect((await readAll(b, CHANGELOG)).map(valueOf)).toEqual(["owner"]);
  });
  it("gives a topic that is made again another id and no records", async () => {
    const log = new MemoryLog(new ManualClock());
    await log.ensureTopics([INBOX]);
    await log.append(INBOX.name, 0, records("x"));
    const id = await log.topicId(INBOX.name);
    log.deleteTopic(INBOX.name);
    await log.ensureTopics([INBOX]);
    expect(await log.topicId(INBOX.name)).not.toBe(id);
    expect(await log.offsets(INBOX.name, 0)).toEqual({ start: 0, end: 0 });
  });
  it("drops by itself what retention allows, so that a long simulation stays small", async () => {
    const clock = new ManualClock();
    const log = new MemoryLog(clock);
    await log.ensureTopics([INBOX]);
    for (let i = 0; i < 5_000; i += 1) {
      clock.advance(INBOX.retentionMs / 100);
      await log.append(INBOX.name, 0, records(String(i)));
    }
    expect(await log.offsets(INBOX.name, 0)).toEqual({ start: 4_899, end: 5_000 });
    expect((await readAll(log, INBOX)).map(valueOf)[0]).toBe("4899");
  });
});
