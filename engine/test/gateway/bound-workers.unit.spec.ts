/** A hostile worker with a token of one app: it gets nothing of another app, and nothing it says of one counts. */
import { encodeFrame, PROTOCOL_VERSION, type RunState, type WorkerFrame } from "@eddy/schemas";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WorkerGate } from "../../../clients/src/dispatch/worker-gate.js";
import { CLOSE_CODES, type WorkerChannel } from "../../../clients/src/dispatch/worker-link.js";
import type { RunStates } from "../../../clients/src/dispatch/run-states.js";
import { TransientError } from "../../../clients/src/errors/codes.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { runOn } from "./dispatcher-fixtures.js";
import { appOf, FakeLink, fn, inboxOf, inForce, settle, TOPICS, until, world, type World } from "./fixtures.js";

const OURS = runOn(0, 1);
const THEIRS = runOn(1, 2);
const NOBODYS = runOn(2, 3);
const SECRET = new TextEncoder().encode('{"secret":true}');
const functions = [fn({ id: "f", triggers: [{ event: "f/asked" }] })];

let w: World;
let gate: WorkerGate;
let asked: string[];
let apps: Map<string, string | Error>;
beforeEach(async () => {
  w = await world();
  asked = [];
  apps = new Map([
    [OURS, "shop"],
    [THEIRS, "bank"],
  ]);
  const states: RunStates = {
    stateOf: ({ runId, invocation }) => {
      const state: RunState = { runId, invocation, event: SECRET, memo: [] };
      return Promise.resolve(state);
    },
    isOver: () => Promise.resolve(false),
  };
  gate = new WorkerGate({ ...w, meter: NO_METER, topics: TOPICS, states });
  await inForce(w, appOf("shop", 1, functions));
  await inForce(w, appOf("bank", 2, functions));
});
afterEach(async () => {
  await gate.close();
  await w.close();
});

const appOfRun = (runId: string): Promise<string | null> => {
  asked.push(runId);
  const app = apps.get(runId) ?? null;
  return app instanceof Error ? Promise.reject(app) : Promise.resolve(app);
};

interface Connected {
  readonly link: FakeLink;
  readonly channel: WorkerChannel;
  send(frame: WorkerFrame): void;
}

function connect(app: string, slots = 4): Connected {
  const link = new FakeLink();
  const channel = gate.accept(link, { apps: new Set(["shop"]), appOfRun });
  const send = (frame: WorkerFrame): void => channel.receive(encodeFrame(frame));
  const config = { app, functions };
  send({ kind: "hello", protocol: PROTOCOL_VERSION, workerId: "w", sdk: "test", config, slots });
  return { link, channel, send };
}
async function welcomed(slots?: number): Promise<Connected> {
  const one = connect("shop", slots);
  await until("welcome", () => one.link.of("welcome").length > 0);
  return one;
}
const report = (runId: string, seq = 1): WorkerFrame => {
  const outcome = { kind: "returned", data: SECRET } as const;
  return { kind: "report", seq, report: { runId, invocation: 1, ops: [], outcome } };
};
const heartbeat = (...runs: readonly string[]): WorkerFrame => {
  return { kind: "heartbeat", running: runs.map((runId) => ({ runId, invocation: 1 })) };
};
/** Everything that the engine would act on. */
async function written(): Promise<readonly string[]> {
  const partitions = await Promise.all([0, 1, 2, 3].map((partition) => inboxOf(w.log, partition)));
  const said: ReadonlySet<string> = new Set(["report", "heartbeat", "declined", "register"]);
  return partitions.flat().flatMap(({ kind }) => (said.has(kind) ? [kind] : []));
}

describe("a worker whose token is bound to an app", () => {
  it("may not be of another app", async () => {
    const { link } = connect("bank");
    await until("closed", () => link.closed);
    expect(link.of("refused")[0]?.code).toBe("FORBIDDEN");
    expect(link.closed?.code).toBe(CLOSE_CODES.refused);
    expect(await written()).toEqual([]);
  });

  it.each<[string, WorkerFrame]>([
    ["reports of another app's run", report(THEIRS)],
    ["asks for the state of another app's run", { kind: "needState", runId: THEIRS, invocation: 1 }],
    ["says that it runs another app's run", heartbeat(THEIRS)],
    ["says so of one besides its own", heartbeat(OURS, THEIRS)],
    ["reports of a run that nobody knows", report(NOBODYS)],
  ])("is cut off when it %s, and nothing of that is written or told", async (_, frame) => {
    const { link, send } = await welcomed();
    send(frame);
    send(report(OURS)); // what comes after it does not count, either
    await until("closed", () => link.closed);
    await settle();
    expect(link.closed?.code).toBe(CLOSE_CODES.refused);
    expect([...link.of("state"), ...link.of("ack"), ...link.of("heartbeatAck")]).toEqual([]);
    expect(await written()).toEqual([]);
    expect(w.logger.lines.some(({ message }) => message.includes("not its app's"))).toBe(true);
  });

  it("gives nothing back that it does not have", async () => {
    const { link, send } = await welcomed();
    send({ kind: "drain" });
    send({ kind: "released", runId: THEIRS, invocation: 1 });
    send({ kind: "leaving", running: [] });
    await settle();
    expect(await written()).toEqual([]);
    expect(link.closed).toBeNull();
  });

  it("may speak of its own runs, in order, also of those that another engine handed out", async () => {
    const { link, send } = await welcomed();
    send(heartbeat(OURS));
    send({ kind: "needState", runId: OURS, invocation: 1 });
    send(report(OURS, 7));
    await until("all is answered", () => link.of("ack").length + link.of("state").length === 2);
    expect(link.of("state")[0]?.state?.event).toEqual(SECRET);
    expect(link.of("ack")[0]?.seq).toBe(7);
    expect(await written()).toContain("report");
    expect(asked).toEqual([OURS]);
    expect(link.closed).toBeNull();
  });

  it("is asked to come again where it cannot be told whose a run is", async () => {
    apps.set(OURS, new TransientError("the owner is being taken over"));
    const { link, send } = await welcomed();
    send(report(OURS));
    await until("closed", () => link.closed);
    expect(link.closed?.code).toBe(CLOSE_CODES.tryAgain);
    expect(await written()).toEqual([]);
  });

  it("is cut off when it names more runs than it can have", async () => {
    const { link, send } = await welcomed(2);
    send(heartbeat(runOn(0, 1), runOn(0, 2), runOn(0, 3)));
    await until("closed", () => link.closed);
    expect(asked).toEqual([]);
  });
});
