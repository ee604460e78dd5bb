import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunState } from "@eddy/schemas";
import { TransientError } from "../../../clients/src/errors/codes.js";
import { HEARTBEAT_GATHER_MS } from "../../../clients/src/dispatch/heartbeat-ledger.js";
import { CLOSE_CODES } from "../../../clients/src/dispatch/worker-link.js";
import { APP, DispatcherWorld, runOn } from "./dispatcher-fixtures.js";
import { inboxOf, inboxOfKind, settle, until } from "./fixtures.js";

describe("step dispatcher: what workers say and hear", () => {
  let d: DispatcherWorld;
  beforeEach(async () => {
    d = await DispatcherWorld.make();
  });
  afterEach(() => d.close());

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
    it("gathers those of all workers, one record per partition, and acknowledges when all are written", async () => {
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

  describe("what a worker lets go of", () => {
    const [first, second] = [runOn(1, 1), runOn(1, 2)];

    it("goes on elsewhere at once where the worker drains, and otherwise when its lease ends", async () => {
      const worker = d.worker("w", 2);
      await d.request(first);
      await d.request(second);
      await until("both", () => worker.given().length === 2);
      worker.send({ kind: "released", runId: first, invocation: 1 });
      worker.send({ kind: "drain" });
      worker.send({ kind: "released", runId: second, invocation: 1 });
      worker.send({ kind: "released", runId: second, invocation: 1 });
      await until("given back", async () => (await inboxOfKind(d.world.log, 1, "declined")).length > 0);
      await settle();
      expect(await inboxOfKind(d.world.log, 1, "declined")).toEqual([
        { kind: "declined", runId: second, invocation: 1 },
      ]);
    });

    it("gives back what it does not run when it leaves, but nothing that ends or still runs", async () => {
      const worker = d.worker("w", 4);
      const [unseen, running, ending] = [runOn(1, 11), runOn(1, 12), runOn(2, 13)];
      for (const run of [unseen, running, ending]) await d.request(run);
      await until("the requests", () => worker.given().length === 3);
      let release = (): void => undefined;
      const appended = new Promise<void>((resolve) => (release = resolve));
      d.world.log.beforeAppend = ({ records }) => (records[0]?.key === ending ? appended : undefined);
      const outcome = { kind: "suspended" as const };
      worker.send({ kind: "report", seq: 1, report: { runId: ending, invocation: 1, ops: [], outcome } });
      worker.send({ kind: "leaving", running: [{ runId: running, invocation: 1 }] });
      worker.session.detach();
      await until("given back", async () => (await inboxOfKind(d.world.log, 1, "declined")).length > 0);
      release();
      await until("reported", async () => (await inboxOfKind(d.world.log, 2, "report")).length > 0);
      expect(await inboxOfKind(d.world.log, 2, "declined")).toEqual([]);
      expect(await inboxOfKind(d.world.log, 1, "declined")).toEqual([
        { kind: "declined", runId: unseen, invocation: 1 },
      ]);
    });

    it("G5: is not given back where it had not left for it yet: it goes to another as it is", async () => {
      let commit = (): void => undefined;
      d.world.log.beforeCommit = () => new Promise((resolve) => (commit = resolve));
      const worker = d.worker("w", 1);
      await d.request(first);
      await until("its slot is taken", () => d.dispatcher.inFlight === 1);
      await settle();
      worker.send({ kind: "drain" });
      worker.send({ kind: "leaving", running: [] });
      const heir = d.worker("heir", 1);
      commit();
      await until("the request", () => heir.given().length === 1);
      await settle();
      expect([worker.given(), await inboxOfKind(d.world.log, 1, "declined")]).toEqual([[], []]);
    });

    it("comes back with its lease where the log does not take that now", async () => {
      const worker = d.worker("w", 1);
      await d.request(first);
      await until("the request", () => worker.given().length === 1);
      worker.send({ kind: "drain" });
      d.world.log.beforeAppend = () => {
        throw new TransientError("not now");
      };
      worker.send({ kind: "released", runId: first, invocation: 1 });
      await until("told", () => {
        d.world.clock.advance(100);
        return d.world.logger.lines.some(({ message }) => message.includes("when its lease ends"));
      });
      expect(worker.link.closed).toBeNull();
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

    it("G3: does not hand out a request whose run was cancelled while its delivery was being committed", async () => {
      const worker = d.worker("w", 1);
      const run = runOn(0, 1);
      let release = (): void => undefined;
      d.world.log.beforeCommit = () => new Promise((resolve) => (release = resolve));
      await d.request(run);
      await until("the slot is taken", () => d.dispatcher.inFlight === 1);
      await d.abort(run);
      await until("the abort", () => worker.link.of("abort").length === 1);
      d.world.log.beforeCommit = () => undefined;
      release();
      await until("the slot is free", () => d.dispatcher.inFlight === 0);
      await d.request(runOn(0, 2));
      await until("the next one", () => worker.given().length === 1);
      expect(worker.given()).toEqual([`${runOn(0, 2)}/1`]);
    });
  });

  describe("aborts that a worker has missed", () => {
    const run = runOn(0, 1);
    const state: RunState = { runId: run, invocation: 1, event: new Uint8Array([1]), memo: [] };
    const beat = { kind: "heartbeat" as const, running: [{ runId: run, invocation: 1 }] };

    it("are repeated at a heartbeat of a worker that runs what is over, as of the request's cause", async () => {
      d.states.set(run, null);
      const worker = d.worker("w", 1);
      const at = await d.request(run);
      await until("the request", () => worker.given().length === 1);
      worker.send(beat);
      await until("the abort", () => worker.link.of("abort").length === 1);
      expect(d.asked).toEqual([`${run}/1/${at}`]);
    });

    it("are repeated to one that connected again, and not for what still runs", async () => {
      const worker = d.worker("w", 2);
      const alive = runOn(0, 2);
      d.states.set(run, null);
      d.states.set(alive, { ...state, runId: alive });
      worker.send({ kind: "heartbeat", running: [...beat.running, { runId: alive, invocation: 1 }] });
      await until("both asked", () => d.asked.length === 2);
      await settle();
      expect(worker.link.of("abort")).toEqual([{ kind: "abort", runId: run }]);
    });

    it("are repeated from what this process heard, without asking anybody", async () => {
      await d.abort(run, 7);
      await settle();
      const worker = d.worker("w", 1);
      worker.send(beat);
      await until("the abort", () => worker.link.of("abort").length === 1);
      expect(d.asked).toEqual([]);
    });

    it("are not repeated while the worker's own end is on its way", async () => {
      d.states.set(run, null);
      const worker = d.worker("w", 1);
      await d.request(run);
      await until("the request", () => worker.given().length === 1);
      let release = (): void => undefined;
      d.world.log.beforeAppend = () => new Promise((resolve) => (release = resolve));
      const outcome = { kind: "suspended" as const };
      worker.send({ kind: "report", seq: 1, report: { runId: run, invocation: 1, ops: [], outcome } });
      worker.send(beat);
      await until("asked", () => d.asked.length === 1);
      await settle();
      expect(worker.link.of("abort")).toEqual([]);
      d.world.log.beforeAppend = () => undefined;
      release();
    });

    it("are asked for again at the next heartbeat where nobody could tell", async () => {
      const worker = d.worker("w", 1);
      worker.send(beat);
      await until("asked", () => d.asked.length === 1);
      await settle();
      expect(worker.link.of("abort")).toEqual([]);
      d.states.set(run, null);
      worker.send(beat);
      await until("the abort", () => worker.link.of("abort").length === 1);
    });
  });
});
