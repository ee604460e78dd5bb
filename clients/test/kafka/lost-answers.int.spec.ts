/** Answers of brokers that get lost: nothing acknowledged is missing, nothing is there twice. */
import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { TransientError } from "../../src/errors/codes.js";
import type { Log } from "../../src/ports/log.js";
import {
  CHANGELOG,
  INBOX,
  entryOf,
  readAll,
  record,
  records,
  valueOf,
} from "../../../engine/test/contracts/log-world.js";
import { FaultySockets, REQUEST } from "./faulty-sockets.js";
import { kafkaLog, prefixed, uniquePrefix } from "./kafka-world.js";

describe("when answers get lost", () => {
  let prefix: string;
  let faults: FaultySockets;
  let log: Log;
  let other: Log;
  beforeEach(async () => {
    prefix = uniquePrefix();
    faults = new FaultySockets();
    const patience = { requestMsMax: 1_000, patienceMs: 4_000 };
    log = prefixed(await kafkaLog(inject("kafkaBrokers"), { socketFactory: faults.factory, ...patience }), prefix);
    other = prefixed(await kafkaLog(inject("kafkaBrokers")), prefix);
    for (const each of [other, log]) await each.ensureTopics([INBOX, CHANGELOG]);
  });
  afterEach(async () => {
    await log.close();
    await other.close();
  });
  const inbox = async () => (await readAll(other, INBOX)).map(valueOf);
  const changelog = async () => (await readAll(other, CHANGELOG)).map(entryOf);

  describe("an append", () => {
    it.each(["kill", "pause"] as const)(
      "is given up soon for all who wait, while brokers are away (%s)",
      async (away) => {
        const patienceMs = 6_000;
        const options = { socketFactory: faults.factory, requestMsMax: 1_000, patienceMs };
        const patient = prefixed(await kafkaLog(inject("kafkaBrokers"), options), prefix);
        await patient.append(INBOX.name, 0, records("before"));
        faults[away]();
        const failed = async (value: string): Promise<number> => {
          const since = Date.now();
          await expect(patient.append(INBOX.name, 0, records(value))).rejects.toThrow(TransientError);
          return Date.now() - since;
        };
        const first = failed("first");
        await new Promise((resolve) => setTimeout(resolve, 100));
        const behind = failed("behind");
        expect(await first).toBeLessThan(patienceMs + 3_000);
        expect(await behind).toBeLessThan((await first) + patienceMs - 1_500);
        expect(await failed("later")).toBeLessThan(patienceMs - 1_500);
        faults.heal();
        await vi.waitFor(() => patient.append(INBOX.name, 0, records("after")), { timeout: 10_000 });
        expect((await inbox()).at(-1)).toBe("after");
        await patient.close();
      },
    );
    it("is repeated, and stored once", async () => {
      faults.loseAnswers(REQUEST.produce, 3);
      expect((await log.append(INBOX.name, 0, records("a", "b"))).baseOffset).toBe(0);
      expect((await log.append(INBOX.name, 0, records("c"))).baseOffset).toBe(2);
      expect(faults.lost).toBe(3);
      expect(await inbox()).toEqual(["a", "b", "c"]);
    });
    it("is stored once, though many others are asked for meanwhile", async () => {
      const acks: Promise<number>[] = [];
      for (let i = 0; i < 200; i += 1) {
        if (i % 40 === 0) faults.loseAnswers(REQUEST.produce, 1);
        acks.push(log.append(INBOX.name, 0, records(String(i))).then(({ baseOffset }) => baseOffset));
        if (i % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      const offsets = await Promise.all(acks);
      expect(faults.lost).toBeGreaterThan(0);
      const found = await inbox();
      expect(found).toHaveLength(200);
      expect(offsets.map((at) => found[at])).toEqual(Array.from({ length: 200 }, (_, i) => String(i)));
    });
    it("of which nobody knows whether it is stored does not swallow the next one, which looks the same", async () => {
      await log.append(INBOX.name, 0, records("before"));
      faults.loseAnswers(REQUEST.produce, Infinity);
      await expect(log.append(INBOX.name, 0, records("unknown"))).rejects.toThrow(TransientError);
      faults.heal();
      const { baseOffset } = await log.append(INBOX.name, 0, records("after"));
      expect(await inbox()).toEqual(["before", "unknown", "after"]);
      expect(baseOffset).toBe(2);
    });
  });

  describe("a commit", () => {
    it.each([
      ["begin", REQUEST.addPartitions],
      ["append", REQUEST.produce],
      ["end", REQUEST.endTransaction],
    ])("whose transaction could not be heard to %s is done once", async (_, request) => {
      const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
      await writer.commit([record("a", "1"), record("meta", "1")]);
      faults.loseAnswers(request, 2);
      const end = await writer.commit([record("a", "2"), record("meta", "2")]);
      expect(faults.lost).toBe(2);
      expect((await other.offsets(CHANGELOG.name, 0)).end).toBe(end);
      await writer.commit([record("a", "3"), record("meta", "3")]);
      expect(await changelog()).toEqual(["a=1", "meta=1", "a=2", "meta=2", "a=3", "meta=3"]);
    });
    it("of which nobody knows whether it is stored is the writer's last; a new one goes on (7)", async () => {
      const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
      faults.loseAnswers(REQUEST.endTransaction, Infinity);
      await expect(writer.commit([record("a", "1")])).rejects.toThrow(TransientError);
      faults.heal();
      await expect(writer.commit([record("a", "2")])).rejects.toThrow(TransientError);
      const next = await log.openChangelogWriter(CHANGELOG.name, 0);
      await next.commit([record("a", "3")]);
      expect(await changelog()).toEqual(["a=1", "a=3"]);
    });
    it("does not skip what somebody appended behind it", async () => {
      const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
      let behind = 0;
      faults.loseAnswers(REQUEST.endTransaction, 1, async () => {
        behind = (await other.append(CHANGELOG.name, 0, [record("b", "somebody else's")])).baseOffset;
      });
      expect(await writer.commit([record("a", "1")])).toBeLessThanOrEqual(behind);
      expect(await changelog()).toEqual(["a=1", "b=somebody else's"]);
    });
    it("that may be stored is not called fenced, although its writer is", async () => {
      const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
      faults.loseAnswers(REQUEST.endTransaction, 1, async () => {
        await other.openChangelogWriter(CHANGELOG.name, 0);
      });
      await expect(writer.commit([record("a", "1")])).rejects.toThrow(TransientError);
      expect(await changelog()).toEqual(["a=1"]);
    });
  });

  it("calls at the same time all get through after connections broke", async () => {
    for (let i = 0; i < 3; i += 1) {
      faults.cutAll();
      const calls = Array.from({ length: 30 }, (_, n) => [
        log.offsets(INBOX.name, n % 3),
        log.groupOffset("g", INBOX.name, n % 3),
        log.append(INBOX.name, n % 3, records("x")),
      ]);
      expect(await Promise.all(calls.flat())).toHaveLength(90);
    }
    expect(await inbox()).toHaveLength(30);
  });
  it("a reader misses nothing and reads nothing twice", async () => {
    const reader = log.reader(INBOX.name, 0, (await log.offsets(INBOX.name, 0)).start);
    const seen: (string | null)[] = [];
    for (let i = 0; i < 20; i += 1) {
      await other.append(INBOX.name, 0, records(`${i}a`, `${i}b`));
      faults.loseAnswers(REQUEST.fetch, i % 4 === 0 ? 1 : 0);
      while (seen.length < 2 * (i + 1)) {
        seen.push(...(await reader.read({ recordsMax: 3, waitMs: 1_000 })).map(valueOf));
      }
    }
    expect(faults.lost).toBeGreaterThanOrEqual(5);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => [`${i}a`, `${i}b`]).flat());
  });
  it("a group's offset is the newest all the same", async () => {
    faults.loseAnswers(REQUEST.offsetCommit, 2);
    const at = (n: number) => ({ offset: n as never, metadata: `mark ${n}` });
    await Promise.all([1, 2, 3].map((n) => log.commitGroupOffset("g", INBOX.name, 0, at(n))));
    expect(await other.groupOffset("g", INBOX.name, 0)).toEqual(at(3));
  });
});
