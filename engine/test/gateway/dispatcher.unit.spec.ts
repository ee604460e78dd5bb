import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { offset, type RunState } from "@eddy/schemas";
import { TransientError } from "../../src/errors/codes.js";
import { HEARTBEAT_GATHER_MS } from "../../src/dispatch/heartbeat-ledger.js";
import { DELIVERED_PERIOD_MS, groupOf } from "../../src/dispatch/steps-consumer.js";
import { CLOSE_CODES } from "../../src/dispatch/worker-link.js";
import { APP, DispatcherWorld, runOn } from "./dispatcher-fixtures.js";
import { inboxOf, inboxOfKind, settle, TOPICS, until } from "./fixtures.js";

describe("step dispatcher", () => {
  let d: DispatcherWorld;
  beforeEach(async () => {
    d = await DispatcherWorld.make();
  });
  afterEach(() => d.close());

  const committed = (partition: number) => d.world.log.groupOffset(groupOf(APP), TOPICS.steps(APP), partition);

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
      const a = d.worker("a", 2);
      await d.request(run);
      await d.request(runOn(0, 2));
      await until("a has both", () => a.given().length === 2);
      const b = d.worker("b", 8);
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

  describe("reports", () => {
    it("writes a report to the run's partition and acknowledges it only then", async () => {
      const worker = d.worker("w", 1);
      let release = (): void => undefined;
      d.world.log.beforeAppend = () => new Promise((resolve) => (release = resolve));
      const report = { runId: runOn(3, 1), invocation: 4, ops: [], outcome: null };
      worker.send({ kind: "report", seq: 9, report });
      await settle();
      expect(worker.link.of("ack")).toEqual([]);
      release();
      await until("acknowledged", () => worker.link.of("ack").length === 1);
      expect(await inboxOf(d.world.log, 3)).toEqual([{ kind: "report", report }]);
    });

    it("closes the connection when the log does not take a report: the worker must say it again", async () => {
      const worker = d.worker("w", 1);
      d.world.log.beforeAppend = () => {
        throw new TransientError("not now");
      };
      worker.send({ kind: "report", seq: 1, report: { runId: runOn(3, 1), invocation: 1, ops: [], outcome: null } });
      await until("closed", () => {
        d.world.clock.advance(200);
        return worker.link.closed !== null;
      });
      expect(worker.link.closed?.code).toBe(CLOSE_CODES.tryAgain);
      expect(worker.link.of("ack")).toEqual([]);
    });

    it("refuses a report that the log can never take", async () => {
      const worker = d.worker("w", 1);
      const data = new Uint8Array(41 * 1_048_576);
      const ops = [{ kind: "stepCompleted" as const, stepId: "s", data }];
      worker.send({ kind: "report", seq: 5, report: { runId: runOn(3, 1), invocation: 1, ops, outcome: null } });
      const nack = await until("refused", () => worker.link.of("nack")[0]);
      expect(nack).toMatchObject({ seq: 5, code: "REPORT_TOO_LARGE" });
      expect(worker.link.closed).toBeNull();
    });

    it.each(["", "no-run", "zzz" + "0".repeat(26), "000" + "w".repeat(26)])(
      "closes a connection that reports for %j",
      async (runId) => {
        const worker = d.worker("w", 1);
        worker.send({ kind: "report", seq: 1, report: { runId, invocation: 1, ops: [], outcome: null } });
        expect(worker.link.closed?.code).toBe(CLOSE_CODES.brokenFrame);
        worker.send({
          kind: "hello",
          protocol: 1,
          workerId: "w",
          sdk: "s",
          slots: 1,
          config: { app: APP, functions: [] },
        });
        expect(worker.link.closed?.reason).toContain("run id");
      },
    );
  });

  describe("heartbeats", () => {
    it("gathers those of all workers into one record per partition, and acknowledges when all are written", async () => {
      const [a, b] = [d.worker("a", 5), d.worker("b", 5)];
      const running = (partition: number, no: number) => ({ runId: runOn(partition, no), invocation: 2 });
      a.send({ kind: "heartbeat", running: [running(0, 1), running(1, 2)] });
      b.send({ kind: "heartbeat", running: [running(1, 3)] });
      await settle();
      expect(a.link.of("heartbeatAck")).toEqual([]);
      d.world.clock.advance(HEARTBEAT_GATHER_MS);
      await until("both acknowledged", () => a.link.sent.length === 1 && b.link.sent.length === 1);
      expect(await inboxOf(d.world.log, 0)).toEqual([{ kind: "heartbeat", app: APP, running: [running(0, 1)] }]);
      expect(await inboxOf(d.world.log, 1)).toEqual([
        { kind: "heartbeat", app: APP, running: [running(1, 2), running(1, 3)] },
      ]);
      expect(await inboxOf(d.world.log, 2)).toEqual([]);
    });

    it("does not acknowledge what could not be written, and goes on with the next", async () => {
      const worker = d.worker("w", 5);
      const frame = { kind: "heartbeat" as const, running: [{ runId: runOn(0, 1), invocation: 1 }] };
      d.world.log.beforeAppend = () => {
        throw new Error("the disk is away");
      };
      worker.send(frame);
      await settle();
      d.world.clock.advance(HEARTBEAT_GATHER_MS);
      await settle();
      expect(worker.link.of("heartbeatAck")).toEqual([]);
      d.world.log.beforeAppend = () => undefined;
      worker.send(frame);
      await settle();
      d.world.clock.advance(HEARTBEAT_GATHER_MS);
      await until("acknowledged", () => worker.link.of("heartbeatAck").length === 1);
    });

    it("acknowledges an idle worker at once, without a record", async () => {
      const worker = d.worker("w", 1);
      worker.send({ kind: "heartbeat", running: [] });
      expect(worker.link.of("heartbeatAck")).toHaveLength(1);
    });

    it("takes a slot for what a worker had before it connected, until it is over", async () => {
      const worker = d.worker("w", 1);
      const old = runOn(0, 9);
      worker.send({ kind: "heartbeat", running: [{ runId: old, invocation: 3 }] });
      await d.request(runOn(0, 1));
      await settle();
      expect(worker.given()).toEqual([]);
      await worker.finish(old, 3);
      await until("the request", () => worker.given().length === 1);
    });

    it("takes back the slot of a request that is missing in two heartbeats", async () => {
      const worker = d.worker("w", 1);
      await d.request(runOn(0, 1));
      await until("the first", () => worker.given().length === 1);
      await d.request(runOn(0, 2));
      worker.send({ kind: "heartbeat", running: [] });
      await settle();
      expect(worker.given()).toHaveLength(1);
      worker.send({ kind: "heartbeat", running: [] });
      await until("the second", () => worker.given().length === 2);
    });
  });

  describe("state", () => {
    const run = runOn(1, 1);
    const state: RunState = { runId: run, invocation: 1, event: new Uint8Array([1]), memo: [] };

    it("asks the run's partition as of the request's cause, and answers", async () => {
      d.states.set(run, state);
      const worker = d.worker("w", 1);
      const at = await d.request(run);
      await until("the request", () => worker.given().length === 1);
      worker.send({ kind: "needState", runId: run, invocation: 1 });
      const answer = await until("an answer", () => worker.link.of("state")[0]);
      expect(answer).toMatchObject({ runId: run, invocation: 1, state: { runId: run } });
      expect(d.asked).toEqual([`${run}/1/${at}`]);
    });

    it("frees the slot when the run is over", async () => {
      d.states.set(run, null);
      const worker = d.worker("w", 1);
      await d.request(run);
      await until("the request", () => worker.given().length === 1);
      await d.request(runOn(1, 2));
      worker.send({ kind: "needState", runId: run, invocation: 1 });
      await until("the next", () => worker.given().length === 2);
      expect(worker.link.of("state")).toMatchObject([{ state: null }]);
    });

    it("asks again when the answer fails", async () => {
      const worker = d.worker("w", 1);
      worker.send({ kind: "needState", runId: run, invocation: 1 });
      await until("asked", () => d.asked.length === 1);
      d.states.set(run, state);
      await until("an answer", () => {
        d.world.clock.advance(100);
        return worker.link.of("state").length === 1;
      });
      expect(d.asked).toEqual([`${run}/1/null`, `${run}/1/null`]);
    });
  });

  describe("aborts", () => {
    it("tells the worker that has the run, and no other", async () => {
      const a = d.worker("a", 1);
      const run = runOn(0, 1);
      await d.request(run);
      await until("the request", () => a.given().length === 1);
      const b = d.worker("b", 1);
      await d.abort(run);
      await until("the abort", () => a.link.of("abort").length === 1);
      expect(a.link.of("abort")).toEqual([{ kind: "abort", runId: run }]);
      expect(b.link.of("abort")).toEqual([]);
    });

    it("tells all workers of a run that nobody is known to have", async () => {
      const [a, b] = [d.worker("a", 1), d.worker("b", 1)];
      await d.abort(runOn(0, 7));
      await until("both", () => a.link.of("abort").length === 1 && b.link.of("abort").length === 1);
    });

    it("G3: does not hand out a queued request of a run that was cancelled meanwhile", async () => {
      const [busy, cancelled, next] = [runOn(0, 1), runOn(0, 2), runOn(0, 3)];
      const worker = d.worker("w", 1);
      await d.request(busy);
      await d.request(cancelled);
      await d.request(next);
      await until("the first", () => worker.given().length === 1);
      await d.abort(cancelled);
      await settle();
      await worker.finish(busy);
      await until("the one after it", () => worker.given().length === 2);
      expect(worker.given()).toEqual([`${busy}/1`, `${next}/1`]);
    });

    it("hands out a request that was made after the abort", async () => {
      const run = runOn(0, 1);
      await d.abort(run, 5);
      await settle();
      const worker = d.worker("w", 1);
      await d.request(run, 1, 6);
      await until("the request", () => worker.given().length === 1);
    });

    it("leaves out signals that are older than two leases when it starts", async () => {
      await d.abort(runOn(0, 1));
      d.world.clock.advance(130_000);
      await d.restart();
      const worker = d.worker("w", 1);
      await d.abort(runOn(0, 2));
      await until("the new one", () => worker.link.of("abort").length === 1);
      expect(worker.link.of("abort")).toEqual([{ kind: "abort", runId: runOn(0, 2) }]);
    });

    it("aborts the old invocation when another worker gets the next one", async () => {
      const run = runOn(0, 1);
      const zombie = d.worker("zombie", 1);
      await d.request(run);
      await until("the first", () => zombie.given().length === 1);
      zombie.send({ kind: "drain" });
      const heir = d.worker("heir", 1);
      await d.request(run, 2);
      await until("the next", () => heir.given().length === 1);
      expect(zombie.link.of("abort")).toEqual([{ kind: "abort", runId: run }]);
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

    it("goes on from the start of the log when what it should read was deleted", async () => {
      await d.dispatcher.stop();
      await d.world.log.commitGroupOffset(groupOf(APP), TOPICS.steps(APP), 0, { offset: offset(0), metadata: "" });
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
