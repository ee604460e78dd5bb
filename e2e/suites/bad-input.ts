/**
 * G8 from outside: what users do wrong is told to them with the field, function or step that is at fault, and stops
 * nothing. Every test ends with work that goes on. One world for all of them: each has functions and ids of its own.
 * What others write into the inbox is `engine/test/kafka/dead-letters`.
 */
import { once } from "node:events";
import { CLOSE_CODES, topicsOf } from "@eddy/clients";
import {
  decodeFrame,
  decodeInbox,
  encodeFrame,
  type FunctionConfig,
  type GatewayFrame,
  PROTOCOL_VERSION,
  type RunSummary,
  type StepRequest,
} from "@eddy/schemas";
import { connect, Eddy, type Steps } from "@eddy/sdk";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { openLog, readAll } from "../drills/progress.js";
import { APP, PARTITIONS, World, type WorkersWay, type WorldKind } from "../world.js";

type Functions = Parameters<World["work"]>[0];
type Worker = Awaited<ReturnType<typeof connect>>;

let world: World;
let ways: readonly WorkersWay[];
let workers: Worker[] = [];
let deploys = 0;

export function badInput(kind: WorldKind): void {
  beforeAll(async () => {
    world = await World.start(kind, {}, 1);
    ways = world.ways();
  });
  afterEach(() => closeWorkers());
  afterAll(() => world.close());
  atTheDoor();
  conditions();
  missingValues();
  vanished();
  versions();
  workersThatLie();
}

const define = (id: string, handler: (step: Steps) => unknown, retries = 1) =>
  world.client.createFunction({ id, triggers: [{ event: `${id}/asked` }], retries }, ({ step }) => handler(step));

/** By each of the world's ways in turn. */
async function deploy(functions: Functions, way = ways[deploys++ % ways.length] as WorkersWay): Promise<Worker> {
  const client = new Eddy({ id: APP, ...way.sends });
  const worker = await connect({ apps: [{ client, functions }], handleShutdownSignals: false, ...way.connects });
  workers.push(worker);
  return worker;
}

async function closeWorkers(): Promise<void> {
  const open = workers;
  workers = [];
  await Promise.all(open.map((worker) => worker.close()));
}

/** Ends however long its retries take: time is moved until then. */
function endedInTime(eventId: string): Promise<RunSummary> {
  return world.until(`the run of ${eventId} ends`, async () => {
    const [run] = await world.runsOf(eventId);
    if (run !== undefined && run.status !== "Running") return run;
    await world.advance("10m");
    return null;
  });
}

/** By a worker of its own. */
async function stillWorks(): Promise<void> {
  await closeWorkers();
  await deploy([define("fine", (step) => step.run("do", () => "done"))]);
  expect(await world.ended(await world.send("fine/asked", {}))).toMatchObject({ output: "done" });
}

const NAME_MAX = 256;
const JSON_TYPE = "application/json";
const long = "n".repeat(NAME_MAX + 1);
const large = JSON.stringify({ id: "bad", name: "a", data: { text: "x".repeat(1_048_576) } });
const ID = '"id":"bad"';
/** [what, body, content type, status, code, field] */
const REFUSED: readonly (readonly [string, string, string, number, string, string | null])[] = [
  ["malformed JSON", `{${ID},"name":"a"`, JSON_TYPE, 400, "INVALID_JSON", null],
  ["text instead of JSON", `{${ID},"name":"a"}`, "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE", "content-type"],
  ["no name", `{${ID}}`, JSON_TYPE, 400, "INVALID_EVENT", "name"],
  ["an empty name", `{${ID},"name":""}`, JSON_TYPE, 400, "INVALID_EVENT", "name"],
  ["an over-long name", `{${ID},"name":"${long}"}`, JSON_TYPE, 400, "INVALID_EVENT", "name"],
  ["a reserved name", `{${ID},"name":"eddy/run.failed"}`, JSON_TYPE, 400, "INVALID_EVENT", "name"],
  ["another one", `[{${ID},"name":"a"},{"name":"inngest/x"}]`, JSON_TYPE, 400, "INVALID_EVENT", "[1].name"],
  ["a ts before 1970", `{${ID},"name":"a","ts":-1}`, JSON_TYPE, 400, "INVALID_EVENT", "ts"],
  ["a ts beyond all dates", `{${ID},"name":"a","ts":8640000000000001}`, JSON_TYPE, 400, "INVALID_EVENT", "ts"],
  ["an event over 1 MiB", large, JSON_TYPE, 413, "EVENT_TOO_LARGE", null],
];

function atTheDoor(): void {
  it("G8: events that cannot be are refused with the field at fault, and none of their request is stored", async () => {
    for (const [what, body, type, status, code, path] of REFUSED) {
      const response = await fetch(`${world.url}/e/dev`, { method: "POST", headers: { "content-type": type }, body });
      const { error } = (await response.json()) as { error: { code: string; path: string | null } };
      expect([what, response.status, error.code, error.path]).toEqual([what, status, code, path]);
    }
    expect((await fetch(`${world.url}/v1/events/bad`)).status).toBe(404);
    expect(await inboxEvents()).not.toContain("bad");
    await stillWorks();
  });

  it("G8: an event of just 1 MiB is taken and found again", async () => {
    const empty = JSON.stringify({ name: "a", id: "full", ts: 1, data: { text: "" } }).length;
    const text = "x".repeat(1_048_576 - empty);
    const event = { name: "a", id: "full", ts: 1, data: { text } };
    expect((await world.post("/e/dev", event)).status).toBe(200);
    const { data } = await world.get<{ data: { event: { data: { text: string } } } }>("/v1/events/full");
    expect(data.event.data.text).toHaveLength(text.length);
  });
}

/** Ids in the inboxes of a world on Kafka; elsewhere only look-ups see them. */
async function inboxEvents(): Promise<readonly string[]> {
  if (world.kafka === null) return [];
  const { brokers, namespace } = world.kafka;
  const log = await openLog(brokers);
  const ids: string[] = [];
  try {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await readAll(log, { topic: topicsOf(namespace).inbox, partition, from: 0 }, ({ value }) => {
        const record = value === null ? null : decodeInbox(value);
        if (record?.kind === "event") ids.push(record.id);
      });
    }
    return ids;
  } finally {
    await log.close();
  }
}

const BROKEN_CONDITION = 'event.data.plan == "pro" &&& true';
const WHERE = /triggers.*if: does not parse as CEL at character \d+ of "event\.data\.plan/;

function conditions(): void {
  it("G8: a condition that does not parse is refused with its position, at every door", async () => {
    const asked = { event: "cel/asked" };
    const broken = { ...asked, if: BROKEN_CONDITION };
    expect(() => world.client.createFunction({ id: "cel", triggers: [broken] }, () => null)).toThrow(WHERE);
    const cancelOn = [{ event: "b", if: "async.data.x ==" }];
    expect(() => world.client.createFunction({ id: "cel", triggers: [asked], cancelOn }, () => null)).toThrow(
      /cancelOn\[0\]\.if: does not parse as CEL at character \d+/,
    );
    const fine = world.client.createFunction({ id: "cel", triggers: [asked] }, () => null);
    // As other software would make it.
    const forged = Object.create(fine, { config: { value: { ...fine.config, triggers: [broken] } } }) as typeof fine;
    for (const way of ways) await expect(deploy([forged], way)).rejects.toThrow(WHERE);
    const { refused, closed } = await rawWorker({ id: "cel", triggers: [broken] });
    expect(await refused).toMatchObject({ code: "INVALID_HELLO", message: expect.stringMatching(WHERE) });
    await closed;
    const { data } = await world.get<{ data: { id: string }[] }>("/v1/functions");
    expect(data.map(({ id }) => id)).not.toContain("cel");
    await stillWorks();
  });
}

function missingValues(): void {
  it("G8: a value that is missing, null or no scalar matches nothing, on either side", async () => {
    const wait = { event: "paid", match: "data.order.id", timeout: "1h" } as const;
    await deploy([define("buy", async (step) => (await step.waitForEvent("paid", wait))?.id ?? "nothing")]);
    const starts: Record<string, unknown>[] = [{}, { order: null }, { order: { id: null } }, { order: { id: [1] } }];
    const without = await Promise.all(starts.map((data) => world.send("buy/asked", data)));
    const withOne = await world.send("buy/asked", { order: { id: 7 } });
    for (const id of [...without, withOne]) await world.reached(id, "waitStarted");
    for (const data of [...starts, { order: { id: "7" } }, { order: 7 }]) await world.send("paid", data);
    await world.advance("59m");
    for (const id of [...without, withOne]) expect((await world.runsOf(id))[0]).toMatchObject({ status: "Running" });
    const paid = await world.send("paid", { order: { id: 7 } });
    expect(await world.ended(withOne)).toMatchObject({ output: paid });
    await world.advance("1m");
    for (const id of without) expect(await world.ended(id)).toMatchObject({ output: "nothing" });
  });
}

function vanished(): void {
  it("G8: a function that vanished in a deploy: its runs are tried again, then fail and say which", async () => {
    const nap = (step: Steps) => step.sleep("nap", "1h");
    const before = await deploy([define("kept", nap), define("gone", nap)]);
    const kept = await world.send("kept/asked", {});
    const gone = await world.send("gone/asked", {});
    const run = await world.reached(gone, "sleepStarted");
    await world.reached(kept, "sleepStarted");
    await before.close();
    await deploy([define("kept", nap)]);
    await world.advance("1h");
    await world.reached(gone, "attemptFailed");
    const { status, error } = await endedInTime(gone);
    expect([status, error?.name]).toEqual(["Failed", "FunctionNotFoundError"]);
    expect(error?.message).toContain("no function shop/gone: it was renamed or removed");
    expect((await world.timeline(run)).filter(({ kind }) => kind === "attemptFailed")).not.toEqual([]);
    expect(await world.ended(kept)).toMatchObject({ status: "Completed" });
    // And nothing starts it any more.
    const later = await world.send("gone/asked", {});
    expect(await endedInTime(await world.send("kept/asked", {}))).toMatchObject({ status: "Completed" });
    expect(await world.runsOf(later)).toEqual([]);
  });

  it("G8: a function that comes back in time finishes its runs", async () => {
    const handler = async (step: Steps) => (await step.sleep("nap", "1h"), "rested");
    const before = await deploy([define("back", handler, 20)]);
    const id = await world.send("back/asked", {});
    await world.reached(id, "sleepStarted");
    await before.close();
    const without = await deploy([define("other", handler)]);
    await world.advance("1h");
    await world.reached(id, "attemptFailed");
    await without.close();
    await deploy([define("back", handler, 20)]);
    expect(await endedInTime(id)).toMatchObject({ status: "Completed", output: "rested" });
  });
}

function versions(): void {
  it("G8: a step that is no longer there: the run fails and names it and the one asked for", async () => {
    const charge = async (step: Steps): Promise<void> => {
      await step.run("charge", () => 1);
      await step.sleep("nap", "1h");
    };
    const before = await deploy([define("moved", charge, 0)]);
    const id = await world.send("moved/asked", {});
    await world.reached(id, "sleepStarted");
    await before.close();
    let charged = 0;
    await deploy([define("moved", (step) => step.run("charge-card", () => ++charged), 0)]);
    await world.advance("1h");
    const { status, error } = await endedInTime(id);
    expect([status, error?.name]).toEqual(["Failed", "NonDeterminismError"]);
    for (const name of ["charge-card", "charge"]) expect(error?.message).toContain(JSON.stringify(name));
    expect(charged).toBe(0);
    await stillWorks();
  });

  it("G8: two workers of different versions of a function: every run ends by what one of them says", async () => {
    const version = (n: number) =>
      define("both", async (step) => {
        const first = await step.run("first", () => n);
        await step.sleep("nap", "1h");
        return [first, await step.run("second", () => n)];
      });
    await deploy([version(1)]);
    await deploy([version(2)]);
    const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => world.send("both/asked", { n })));
    for (const id of ids) await world.reached(id, "sleepStarted");
    await world.advance("1h");
    for (const id of ids) {
      const { status, output } = await endedInTime(id);
      expect(status).toBe("Completed");
      for (const said of output as number[]) expect([1, 2]).toContain(said);
    }
  });
}

function workersThatLie(): void {
  it("G8: a worker that answers with nonsense is told and cut off; others do its work", async () => {
    const worker = await rawWorker({ id: "f", triggers: [{ event: "raw/asked", if: null }] });
    await worker.welcome;
    const id = await world.send("raw/asked", {});
    const { request } = await worker.request;
    // Of a run that there is not: dropped, and the connection goes on.
    worker.report({ ...request, runId: `${request.runId.slice(0, -1)}0` }, 1);
    worker.socket.send(new Uint8Array([1, 2, 3, 4]));
    const { code, reason } = await worker.closed;
    expect([code, reason]).toEqual([CLOSE_CODES.brokenFrame, expect.stringContaining("MessagePack")]);
    // What it had waits for the end of its lease, a minute of real time, and is nobody's failure.
    expect((await world.runsOf(id))[0]).toMatchObject({ status: "Running", error: null });
    await stillWorks();
  });

  it("G8: a worker of another protocol is refused, and told which one is spoken here", async () => {
    const worker = await rawWorker({ id: "f", triggers: [{ event: "raw/asked", if: null }] }, PROTOCOL_VERSION + 1);
    const { code, message } = await worker.refused;
    expect(code).toBe("PROTOCOL_MISMATCH");
    for (const version of [PROTOCOL_VERSION, PROTOCOL_VERSION + 1]) expect(message).toContain(String(version));
    expect((await worker.closed).code).toBe(CLOSE_CODES.refused);
    await stillWorks();
  });
}

/** Speaks the protocol without the SDK, up to a point. Its hello is on the way when this resolves. */
async function rawWorker(some: Pick<FunctionConfig, "id" | "triggers">, protocol = PROTOCOL_VERSION) {
  const socket = new WebSocket(`${world.url.replace(/^http/, "ws")}/v1/connect`);
  await once(socket, "open");
  const listeners: ((frame: GatewayFrame) => void)[] = [];
  socket.on("message", (data: Buffer) => listeners.forEach((listen) => listen(decodeFrame(data) as GatewayFrame)));
  const first = <K extends GatewayFrame["kind"]>(kind: K) =>
    new Promise<Extract<GatewayFrame, { kind: K }>>((resolve) => {
      listeners.push((frame) => frame.kind === kind && resolve(frame as Extract<GatewayFrame, { kind: K }>));
    });
  const closed = (once(socket, "close") as Promise<[number, Buffer]>).then(([code, reason]) => {
    return { code, reason: reason.toString() };
  });
  const f = { ...some, name: some.id, cancelOn: [], waits: [], retries: 4 };
  const hello = { workerId: "raw", sdk: "raw", protocol, slots: 1, config: { app: APP, functions: [f] } };
  socket.send(encodeFrame({ kind: "hello", ...hello }));
  const report = ({ runId, invocation }: StepRequest, seq: number): void => {
    const outcome = { kind: "returned" as const, data: new TextEncoder().encode("{not json") };
    socket.send(encodeFrame({ kind: "report", seq, report: { runId, invocation, ops: [], outcome } }));
  };
  return { socket, welcome: first("welcome"), request: first("request"), refused: first("refused"), closed, report };
}
