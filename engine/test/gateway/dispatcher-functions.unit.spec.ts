/** Workers of two versions of an app, as a rolling deploy has them: who gets what, and what nobody here has. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeStepRequest, offset } from "@eddy/schemas";
import { ABSENT_MS_MAX, PAUSE_MS } from "../../../clients/src/dispatch/absent-functions.js";
import { LINGER_MS } from "../../../clients/src/dispatch/group-membership.js";
import type { StepDispatcher } from "../../../clients/src/dispatch/step-dispatcher.js";
import { APP, DispatcherWorld, requestOf, runOn, type FakeWorker } from "./dispatcher-fixtures.js";
import { appOf, fn, inboxOfKind, inForce, settle, TOPICS, until } from "./fixtures.js";

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

let nextOffset = 1;
const ask = (id: string, runId: string, invocation = 1) => d.request(runId, invocation, nextOffset++, id);
const old = (slots = 10): FakeWorker => d.worker("old", slots, d.dispatcher, ["f"]);
const fresh = (slots = 10, dispatcher = d.dispatcher): FakeWorker => d.worker("new", slots, dispatcher, ["f", "g"]);
const register = (...ids: string[]) =>
  inForce(
    d.world,
    appOf(
      APP,
      1,
      ids.map((id) => fn({ id })),
    ),
  );
const declined = async (partition: number) =>
  (await inboxOfKind(d.world.log, partition, "declined")).map(({ runId, invocation }) => `${runId}/${invocation}`);

describe("requests for a function that some of the workers have", () => {
  it("go to those alone, whoever is idle and whoever had the run last", async () => {
    const before = old();
    await ask("g", runOn(1, 1));
    await until("any, while none has it", () => before.given().length === 1);
    await before.finish(runOn(1, 1));
    const after = fresh();
    await ask("g", runOn(1, 1), 2);
    await ask("g", runOn(1, 2));
    await until("both", () => after.given().length === 2);
    await after.finish(runOn(1, 1), 2);
    await ask("f", runOn(1, 1), 3);
    await until("the last", () => after.given().length === 3);
    expect(before.given()).toEqual([`${runOn(1, 1)}/1`]);
  });

  it("wait for a slot there, and what others can do goes past them", async () => {
    const before = old(1);
    const after = fresh(1);
    await ask("g", runOn(1, 1));
    await until("the slot is taken", () => after.given().length === 1);
    await ask("g", runOn(1, 2));
    await ask("g", runOn(2, 3));
    await ask("f", runOn(3, 4));
    await until("the old one's", () => before.given().length === 1);
    await before.finish(runOn(3, 4));
    await settle();
    expect([before.given(), after.given()]).toEqual([[`${runOn(3, 4)}/1`], [`${runOn(1, 1)}/1`]]);
    await after.finish(runOn(1, 1));
    await until("the next, in order", () => after.given().length === 2);
    expect(after.given()[1]).toBe(`${runOn(1, 2)}/1`);
  });

  it("go to nobody else when those begin to drain, if the function is registered still", async () => {
    await register("f", "g");
    const before = old();
    const after = fresh(1);
    await ask("g", runOn(1, 1));
    await until("the slot is taken", () => after.given().length === 1);
    await ask("g", runOn(1, 2));
    await settle();
    after.send({ kind: "drain" });
    await settle();
    d.world.clock.advance(PAUSE_MS.min);
    await until("given back", async () => (await declined(1)).length === 1);
    expect(before.given()).toEqual([]);
    expect(await declined(1)).toEqual([`${runOn(1, 2)}/1`]);
  });
});

describe("requests for a function that no worker here has", () => {
  it("go to any where it is not registered: the run hears that it is gone", async () => {
    await register("f");
    const worker = old();
    await ask("g", runOn(1, 1));
    await until("the request", () => worker.given().length === 1);
  });

  it("take no slot where it is registered, and go out again after pauses that grow", async () => {
    await register("f", "g");
    const worker = old(1);
    const run = runOn(1, 1);
    const pauses: number[] = [];
    for (let invocation = 1; invocation <= 7; invocation += 1) {
      await ask("g", run, invocation);
      await settle();
      expect(worker.given()).toEqual([]);
      let pauseMs = 0;
      for (; (await declined(1)).length < invocation; pauseMs += 1_000) {
        d.world.clock.advance(1_000);
        await settle();
      }
      pauses.push(pauseMs);
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    const told = d.world.logger.lines.filter(({ message }) => message.startsWith("no worker of this process"));
    expect(told.map(({ fields }) => fields)).toEqual([{ app: APP, functionId: `${APP}/g` }]);
    await ask("f", run, 8);
    await until("what it can do", () => worker.given().length === 1);
  });

  it("go to any when the function has not come for long: the run's attempts count from then on", async () => {
    await register("f", "g");
    const worker = old();
    await ask("g", runOn(1, 1));
    await settle();
    d.world.clock.advance(ABSENT_MS_MAX);
    await until("given back", async () => (await declined(1)).length === 1);
    await ask("g", runOn(1, 1), 2);
    await until("the request", () => worker.given().length === 1);
  });

  it("are held as at first when the function has been here since", async () => {
    await register("f", "g");
    const worker = old();
    const run = runOn(1, 1);
    await ask("g", run);
    await settle();
    const next = fresh();
    await until("given back", async () => (await declined(1)).length === 1);
    await ask("g", run, 2);
    await until("the request", () => next.given().length === 1);
    await next.finish(run, 2);
    next.session.detach();
    d.world.clock.advance(ABSENT_MS_MAX);
    await ask("g", run, 3);
    await settle();
    d.world.clock.advance(PAUSE_MS.min);
    await until("given back after the first pause", async () => (await declined(1)).length === 2);
    expect(worker.given()).toEqual([]);
  });

  it("are held at once, whoever waits for a slot behind them", async () => {
    await register("f", "g");
    const worker = old(1);
    await ask("f", runOn(1, 1));
    await until("the slot is taken", () => worker.given().length === 1);
    // In one go, so that they are read together.
    const together = [requestOf(runOn(2, 2), 1, "g"), requestOf(runOn(2, 3), 1, "f")].map((request) => ({
      key: request.runId,
      value: encodeStepRequest({ offset: offset(nextOffset++), index: 0 }, request),
    }));
    await d.world.log.append(TOPICS.steps(APP), 2, together);
    await settle();
    d.world.clock.advance(PAUSE_MS.min);
    await until("given back", async () => (await declined(2)).length === 1);
    expect(await declined(2)).toEqual([`${runOn(2, 2)}/1`]);
  });

  it("go out again at once when a worker comes that has it", async () => {
    await register("f", "g");
    old();
    await ask("g", runOn(1, 1));
    await settle();
    expect(await declined(1)).toEqual([]);
    fresh();
    await until("given back", async () => (await declined(1)).length === 1);
  });

  it("go out again at once when the partition becomes another process's, where it may be", async () => {
    await register("f", "g");
    const worker = old();
    const runs = [0, 1, 2, 3].map((partition) => runOn(partition, 1));
    for (const run of runs) await ask("g", run);
    await settle();
    const other = d.make();
    others.push(other);
    await other.start();
    const next = fresh(10, other);
    await until("half each", () => other.partitions.length === 2);
    const moved = other.partitions;
    await until("theirs", async () => (await Promise.all(moved.map(declined))).flat().length === 2);
    expect((await Promise.all(d.dispatcher.partitions.map(declined))).flat()).toEqual([]);
    for (const partition of moved) await ask("g", runs[partition] as string, 2);
    await until("worked on", () => next.given().length === 2);
    expect(worker.given()).toEqual([]);
  });

  it("are in the log again when the process has stopped", async () => {
    await register("f", "g");
    old();
    await ask("g", runOn(1, 1));
    await settle();
    await d.dispatcher.stop();
    expect(await declined(1)).toEqual([`${runOn(1, 1)}/1`]);
  });

  it("wait as ever where there is no worker at all", async () => {
    await register("f", "g");
    const worker = old();
    await until("a member", () => d.dispatcher.partitions.length > 0);
    worker.session.detach();
    await ask("g", runOn(1, 1));
    await settle();
    d.world.clock.advance(LINGER_MS - 1);
    await settle();
    const after = fresh();
    await until("the request", () => after.given().length === 1);
    expect(await declined(1)).toEqual([]);
  });
});
