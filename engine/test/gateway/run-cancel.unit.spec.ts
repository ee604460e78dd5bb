import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { errorReply, runReply, type RunReply } from "@eddy/schemas";
import { TransientError } from "../../../clients/src/errors/codes.js";
import { Peers } from "../../src/gateway/peers.js";
import type { HistoryTailer } from "../../src/history/history-tailer.js";
import { inboxOfKind, until, world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway } from "./gateway-fixtures.js";
import { histories, HistoryWriter, runOn } from "./history-fixtures.js";

describe("cancelling a run", () => {
  let w: World;
  let tailers: readonly HistoryTailer[];
  let write: HistoryWriter;
  let owners: FakeOwners;
  let other: FakeOwners;
  let faces: readonly TestGateway[];
  let url: string;
  const runId = runOn(2);

  beforeEach(async () => {
    w = await world();
    tailers = await histories(w);
    write = new HistoryWriter(w);
    [owners, other] = [new FakeOwners(), new FakeOwners()];
    for (const each of [owners, other]) each.histories = tailers;
    faces = [owners, other].map((each) => new TestGateway(w, { owners: each, peers: new Peers("test", 2_000) }));
    url = (await faces[0]?.listen()) ?? "";
    owners.elsewhere.set(2, (await faces[1]?.listen()) ?? "");
    await write.start(runId);
  });
  afterEach(async () => {
    await Promise.all(faces.map(({ gateway }) => gateway.close()));
    await Promise.all(tailers.map((tailer) => tailer.stop()));
    await w.close();
  });

  const ask = (id = runId, search = ""): Promise<Response> =>
    fetch(`${url}/v1/runs/${id}${search}`, { method: "DELETE" });
  const asked = () => inboxOfKind(w.log, 2, "cancel");
  /** While the answer is awaited, time goes on. */
  async function answered(asking: Promise<Response>): Promise<Response> {
    let reply: Response | null = null;
    void asking.then((response) => (reply = response));
    return until("an answer", () => {
      w.clock.advance(20);
      return reply;
    });
  }
  async function dataOf(reply: Response): Promise<RunReply["data"]> {
    return runReply.parse(await reply.json()).data;
  }
  async function codeOf(reply: Response): Promise<string> {
    return errorReply.parse(await reply.json()).error.code;
  }

  it("answers 200 with the run once it is cancelled, through any engine", async () => {
    const asking = ask();
    await until("it is asked for", async () => (await asked()).length === 1);
    await write.cancel(runId);
    const reply = await answered(asking);
    expect(reply.status).toBe(200);
    expect(await dataOf(reply)).toMatchObject({ run_id: runId, status: "Cancelled" });
    expect(await asked()).toEqual([{ kind: "cancel", runId, reason: "cancelled through the API" }]);
  });

  it("answers 202 where the request is in the log, and its partition has not applied it", async () => {
    const reply = await answered(ask(runId, "?reason=no%20longer%20wanted"));
    expect(reply.status).toBe(202);
    expect(await dataOf(reply)).toMatchObject({ run_id: runId, status: "Running" });
    expect(await asked()).toEqual([{ kind: "cancel", runId, reason: "no longer wanted" }]);
  });

  it("answers 202 where the partition is being taken over once the request is in the log", async () => {
    const asking = ask();
    await until("it is asked for", async () => (await asked()).length === 1);
    await faces[1]?.gateway.close();
    expect((await answered(asking)).status).toBe(202);
  });

  it("answers 200 for a run that is cancelled already, and asks for nothing", async () => {
    await write.cancel(runId);
    const reply = await ask();
    expect(reply.status).toBe(200);
    expect((await dataOf(reply)).status).toBe("Cancelled");
    expect(await asked()).toEqual([]);
  });

  it("answers 409 for a run that has ended by itself, before or meanwhile", async () => {
    const asking = ask();
    await until("it is asked for", async () => (await asked()).length === 1);
    await write.complete(runId);
    for (const reply of [await answered(asking), await ask()]) {
      expect(reply.status).toBe(409);
      expect(await codeOf(reply)).toBe("RUN_FINISHED");
    }
    expect(await asked()).toHaveLength(1);
  });

  it("answers 404 for what no run is, and asks for nothing", async () => {
    for (const id of ["nope", runOn(2, "shop/other"), runOn(1), "x".repeat(300)]) {
      const reply = await ask(id);
      expect(reply.status).toBe(404);
      expect(await codeOf(reply)).toBe("RUN_NOT_FOUND");
    }
    expect(await asked()).toEqual([]);
  });

  it.each(["?reason=", `?reason=${"x".repeat(1_025)}`, "?why=so"])("refuses %s", async (search) => {
    const reply = await ask(runId, search);
    expect(reply.status).toBe(400);
    expect(await codeOf(reply)).toBe("INVALID_QUERY");
    expect(await asked()).toEqual([]);
  });

  it("answers 503 with Retry-After where the run cannot be looked up, or the log takes nothing", async () => {
    w.log.beforeAppend = ({ topic }) => {
      if (topic.endsWith(".inbox")) throw new TransientError("the disk is away");
    };
    const refused = await answered(ask());
    owners.elsewhere.set(2, null);
    for (const reply of [refused, await ask()]) {
      expect(reply.status).toBe(503);
      expect(reply.headers.get("retry-after")).toBe("1");
    }
  });
});
