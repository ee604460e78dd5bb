import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeInbox, offset } from "@eddy/schemas";
import { TransientError } from "../../../clients/src/errors/codes.js";
import { DELIVERED_PERIOD_MS } from "../../../clients/src/dispatch/steps-consumer.js";
import { CLOSE_CODES } from "../../../clients/src/dispatch/worker-link.js";
import { APP, DispatcherWorld, runOn } from "./dispatcher-fixtures.js";
import { inboxOf, inboxOfKind, settle, TOPICS, until } from "./fixtures.js";

describe("step dispatcher: who gets what", () => {
  let d: DispatcherWorld;
  beforeEach(async () => {
    d = await DispatcherWorld.make();
  });
  afterEach(() => d.close());

  const committed = (partition: number) =>
    d.world.log.groupOffset(TOPICS.workerGroup(APP), TOPICS.steps(APP), partition);

  describe("slots", () => {
    it("hands out no more than slots, in order, and the next when an outcome is in the log", async () => {
      const runs = [1, 2, 3].map((no) => runOn(0, no));
      const worker = d.worker("w", 2);
      for (const run of runs) await d.request(run);
      await until("two requests", () => worker.given().length === 2);
      await settle();
      expect(worker.given()).toEqual([`${runs[0]}/1`, `${runs[1]}/1`]);
      await worker.finish(runs[1] as string);
      await until("the third", () => worker.given().length === 3);
      expect(worker.given()[2]).toBe(`${runs[2]}/1`);
    });

    it("keeps the slot while an invocation goes on inline", async () => {
      const worker = d.worker("w", 1);
      const [first, second] = [runOn(0, 1), runOn(0, 2)];
      await d.request(first);
      await d.request(second);
      await until("the first", () => worker.given().length === 1);
      const report = { runId: first, invocation: 1, ops: [], outcome: null };
      worker.send({ kind: "report", seq: 1, report });
      await until("acknowledged", () => worker.link.of("ack").length === 1);
      await settle();
      expect(worker.given()).toEqual([`${first}/1`]);
    });

    it("reads nothing further while no slot is free, and waits for a first worker", async () => {
      for (let no = 0; no < 200; no += 1) await d.request(runOn(0, no));
      await settle();
      expect(await committed(0)).toBeNull();
      const worker = d.worker("w", 3);
      await until("three requests", () => worker.given().length === 3);
      await settle();
      expect((await committed(0))?.offset).toBe(3);
    });

    it("frees the slot of an invocation that the worker released, of that one alone", async () => {
      const worker = d.worker("w", 1);
      const [first, second] = [runOn(0, 1), runOn(0, 2)];
      await d.request(first);
      await d.request(second);
      await until("the first", () => worker.given().length === 1);
      worker.send({ kind: "released", runId: first, invocation: 2 });
      await settle();
      expect(worker.given()).toHaveLength(1);
      worker.send({ kind: "released", runId: first, invocation: 1 });
      await until("the second", () => worker.given().length === 2);
    });

    it("gives nothing more to a worker that drains, and still takes its reports", async () => {
      const leaving = d.worker("leaving", 5);
      const first = runOn(0, 1);
      await d.request(first);
      await until("the first", () => leaving.given().length === 1);
      leaving.send({ kind: "drain" });
      await d.request(runOn(0, 2));
      await settle();
      expect(leaving.given()).toHaveLength(1);
      await leaving.finish(first);
      const fresh = d.worker("fresh", 1);
      await until("the second goes to the other", () => fresh.given().length === 1);
    });

    it("gives nothing to a worker whose connection is congested until it is writable again", async () => {
      const worker = d.worker("w", 5);
      worker.link.isCongested = true;
      await d.request(runOn(0, 1));
      await settle();
      expect(worker.given()).toEqual([]);
      worker.link.isCongested = false;
      worker.session.writable();
      await until("the request", () => worker.given().length === 1);
    });

    it("spreads runs by load, in proportion to slots", async () => {
      const small = d.worker("small", 2);
      const large = d.worker("large", 4);
      for (let no = 0; no < 6; no += 1) await d.request(runOn(no % 4, no));
      await until("all", () => small.given().length + large.given().length === 6);
      expect(small.given()).toHaveLength(2);
    });

    it("prefers the worker that had the run last to a less loaded one, unless it is full", async () => {
      const run = runOn(0, 1);
      const b = d.worker("b", 8);
      b.link.isCongested = true;
      const a = d.worker("a", 2);
      await d.request(run);
      await d.request(runOn(0, 2));
      await until("a has both", () => a.given().length === 2);
      b.link.isCongested = false;
      await a.finish(run);
      await d.request(run, 2);
      await until("a has it again", () => a.given().includes(`${run}/2`));
      await a.finish(run, 2);
      a.send({ kind: "heartbeat", running: [2, 3].map((no) => ({ runId: runOn(0, no), invocation: 1 })) });
      await d.request(run, 3);
      await until("a is full, b gets it", () => b.given().includes(`${run}/3`));
      expect(b.given()).toHaveLength(1);
    });
  });

  describe("delivery", () => {
    it("G5: commits offset and mark before a request leaves", async () => {
      const worker = d.worker("w", 1);
      const givenAtCommit: number[] = [];
      d.world.log.beforeCommit = () => void givenAtCommit.push(worker.given().length);
      const at = await d.request(runOn(2, 1));
      await until("the request", () => worker.given().length === 1);
      expect(givenAtCommit).toEqual([0]);
      expect(await committed(2)).toEqual({ offset: 1, metadata: `{"offset":${at},"index":0}` });
    });

    it("commits once for all that find a slot at once", async () => {
      for (let no = 0; no < 20; no += 1) await d.request(runOn(1, no));
      let commits = 0;
      d.world.log.beforeCommit = () => void (commits += 1);
      const worker = d.worker("w", 100);
      await until("all", () => worker.given().length === 20);
      expect(commits).toBeLessThanOrEqual(2);
    });

    it("hands out nothing twice after a restart, and all that was not handed out", async () => {
      const worker = d.worker("w", 2);
      const runs = [1, 2, 3, 4].map((no) => runOn(0, no));
      for (const run of runs) await d.request(run);
      await until("two", () => worker.given().length === 2);
      await d.restart();
      expect(worker.link.closed?.code).toBe(CLOSE_CODES.goingAway);
      const next = d.worker("w2", 10);
      await until("the others", () => next.given().length === 2);
      await settle();
      expect(next.given()).toEqual([`${runs[2]}/1`, `${runs[3]}/1`]);
    });

    it("drops repeats that a takeover sends again, also after a restart", async () => {
      const worker = d.worker("w", 10);
      const [a, b, c] = [runOn(3, 1), runOn(3, 2), runOn(3, 3)];
      await d.request(a, 1, 10);
      await d.request(b, 1, 11);
      await d.request(a, 1, 10);
      await d.request(b, 1, 11);
      await d.request(c, 1, 12);
      await until("c", () => worker.given().includes(`${c}/1`));
      await d.restart();
      const next = d.worker("w2", 10);
      await d.request(b, 1, 11);
      await d.request(a, 2, 13);
      await until("the new one", () => next.given().length === 1);
      await settle();
      expect(worker.given()).toEqual([`${a}/1`, `${b}/1`, `${c}/1`]);
      expect(next.given()).toEqual([`${a}/2`]);
    });

    it("tries a failed commit again, and hands out nothing before it", async () => {
      let failures = 2;
      d.world.log.beforeCommit = () => {
        if (failures-- > 0) throw new TransientError("not now");
      };
      const worker = d.worker("w", 1);
      await d.request(runOn(0, 1));
      await settle();
      expect(worker.given()).toEqual([]);
      await until("the request", () => {
        d.world.clock.advance(100);
        return worker.given().length === 1;
      });
    });

    it("gives a request whose worker left before it was sent to another one", async () => {
      const first = d.worker("first", 1);
      let release = (): void => undefined;
      d.world.log.beforeCommit = () => new Promise((resolve) => (release = resolve));
      await d.request(runOn(0, 1));
      await settle();
      first.session.detach();
      const second = d.worker("second", 1);
      release();
      await until("the other has it", () => second.given().length === 1);
      expect(first.given()).toEqual([]);
    });

    it("says `delivered` with the committed mark when consuming starts", async () => {
      const worker = d.worker("w", 1);
      const at = await d.request(runOn(2, 1));
      await until("the request", () => worker.given().length === 1);
      const before = (await inboxOfKind(d.world.log, 2, "delivered")).length;
      await d.restart();
      d.worker("w2", 1);
      const said = await until("delivered", async () => {
        const all = await inboxOfKind(d.world.log, 2, "delivered");
        return all.length > before && all.at(-1);
      });
      expect(said).toEqual({ kind: "delivered", app: APP, mark: { offset: at, index: 0 } });
      expect(await inboxOf(d.world.log, 0)).toEqual([]);
    });

    it("says `delivered` at most once a second while the mark moves, and the last mark in the end", async () => {
      const worker = d.worker("w", 100);
      let at = 0;
      for (let no = 0; no < 10; no += 1) {
        at = await d.request(runOn(1, no));
        await until("handed out", () => worker.given().length === no + 1);
        d.world.clock.advance(DELIVERED_PERIOD_MS / 5);
        await settle();
      }
      d.world.clock.advance(DELIVERED_PERIOD_MS);
      await settle();
      const said = await inboxOfKind(d.world.log, 1, "delivered");
      expect(said.length).toBeGreaterThanOrEqual(2);
      expect(said.length).toBeLessThanOrEqual(4);
      expect(said.at(-1)?.mark.offset).toBe(at);
      d.world.clock.advance(10 * DELIVERED_PERIOD_MS);
      await settle();
      expect(await inboxOfKind(d.world.log, 1, "delivered")).toHaveLength(said.length);
    });

    it("leaves out a request that does not decode", async () => {
      await d.world.log.append(TOPICS.steps(APP), 0, [{ key: "x", value: new Uint8Array([7]) }]);
      const worker = d.worker("w", 1);
      await d.request(runOn(0, 1));
      await until("the next one", () => worker.given().length === 1);
      expect(d.world.logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
    });
  });

  describe("connections", () => {
    it("replaces the connection of a worker that comes again, with what it has", async () => {
      const before = d.worker("w", 2);
      const run = runOn(0, 1);
      await d.request(run);
      await until("the request", () => before.given().length === 1);
      const after = d.worker("w", 2);
      expect(before.link.closed?.code).toBe(CLOSE_CODES.replaced);
      before.session.detach();
      expect(d.dispatcher.workers).toBe(1);
      expect(d.dispatcher.inFlight).toBe(1);
      await after.finish(run);
      expect(d.dispatcher.inFlight).toBe(0);
    });

    it("frees the slot by a report that came over the former connection", async () => {
      const before = d.worker("w", 1);
      const run = runOn(0, 1);
      await d.request(run);
      await until("the request", () => before.given().length === 1);
      let release = (): void => undefined;
      d.world.log.beforeAppend = () => new Promise((resolve) => (release = resolve));
      const outcome = { kind: "suspended" as const };
      before.send({ kind: "report", seq: 1, report: { runId: run, invocation: 1, ops: [], outcome } });
      d.worker("w", 1);
      await settle();
      release();
      await until("free", () => d.dispatcher.inFlight === 0);
    });

    it("forgets what a worker had when it leaves: its lease will say so", async () => {
      const worker = d.worker("w", 1);
      await d.request(runOn(0, 1));
      await until("the request", () => worker.given().length === 1);
      worker.session.detach();
      const next = d.worker("w2", 1);
      await d.request(runOn(0, 2));
      await until("only the next", () => next.given().length === 1);
      expect(next.given()).toEqual([`${runOn(0, 2)}/1`]);
    });

    it("says `delivered` for requests that were all deleted before a worker came: they get their lease", async () => {
      await d.dispatcher.stop();
      await d.world.log.commitGroupOffset(TOPICS.workerGroup(APP), TOPICS.steps(APP), 1, {
        offset: offset(0),
        metadata: "",
      });
      await d.request(runOn(1, 1));
      d.world.clock.advance(2 * 86_400_000);
      d.world.log.inner.clean();
      await d.world.lanes.append(1, [{ key: "x", value: encodeInbox({ kind: "tick" }) }]);
      await d.restart();
      d.worker("w", 1);
      const [said] = await until("delivered", async () => {
        const all = await inboxOfKind(d.world.log, 1, "delivered");
        return all.length > 0 && all;
      });
      expect(said?.mark).toEqual({ offset: 1, index: 0 });
    });

    it("goes on from the start of the log when what it should read was deleted", async () => {
      await d.dispatcher.stop();
      await d.world.log.commitGroupOffset(TOPICS.workerGroup(APP), TOPICS.steps(APP), 0, {
        offset: offset(0),
        metadata: "",
      });
      await d.request(runOn(0, 1));
      d.world.clock.advance(2 * 86_400_000);
      d.world.log.inner.clean();
      await d.request(runOn(0, 2));
      await d.restart();
      const worker = d.worker("w", 5);
      await until("the newer one", () => worker.given().length === 1);
      expect(worker.given()).toEqual([`${runOn(0, 2)}/1`]);
    });
  });
});
