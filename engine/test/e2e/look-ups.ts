/** Look-ups on whole engines: what was sent, started, ended or cancelled is seen at once, whoever is asked. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { eventReply, functionsReply, runReply, runsReply, type RunSummary, type StepRequest } from "@eddy/schemas";
import { on } from "../partition/builders.js";
import { eventually, fn, Host, json, parse, type Kind, type Script, type ScriptedWorker } from "./fixtures.js";

const quick = fn({ id: "quick", triggers: [on("quick/asked")] });
const slow = fn({ id: "slow", triggers: [on("slow/asked")] });

const worker: Script = (request: StepRequest) => {
  if (request.functionId === "shop/slow") {
    const op = { kind: "sleepRequested" as const, stepId: "nap", until: { ms: 86_400_000 } };
    return { ops: [op], outcome: { kind: "suspended" } };
  }
  const { data } = parse(request.event) as { data: { n: number } };
  return { ops: [], outcome: { kind: "returned", data: json(data.n) } };
};

let host: Host;
let connected: ScriptedWorker;

/** While partitions move between engines, nobody can tell. */
async function get(path: string, init?: RequestInit): Promise<Response> {
  return eventually(`an answer of ${path}`, async () => {
    const reply = await host.get(path, init);
    return reply.status === 503 ? null : reply;
  });
}
async function runs(search = ""): Promise<readonly RunSummary[]> {
  const found: RunSummary[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const reply = await get(`/v1/runs?limit=7&${search}${cursor === "" ? "" : `&cursor=${cursor}`}`);
    const page = runsReply.parse(await reply.json());
    found.push(...page.data);
    cursor = page.next_cursor;
  }
  return found;
}

export function lookUps(kind: Kind): void {
  beforeEach(async () => {
    host = await Host.start(kind);
    connected = await host.worker([quick, slow], worker);
  });
  afterEach(() => host.close());
  seenAtOnce();
  cancelled();
  if (kind !== "memory") restarted();
}

function seenAtOnce(): void {
  it("show every event at once, as it was sent, also where nobody listens", async () => {
    for (let i = 0; i < 10; i += 1) {
      const id = await host.send("nobody/listens", { i, text: "ü" });
      const { data } = eventReply.parse(await (await get(`/v1/events/${id}`)).json());
      expect(data).toMatchObject({ id, name: "nobody/listens", event: { id, data: { i, text: "ü" } }, runs: [] });
    }
    expect((await get("/v1/events/nope")).status).toBe(404);
  });

  it("show a run from the moment its event was accepted, as ended from its worker's last report on", async () => {
    for (let n = 0; n < 10; n += 1) {
      const id = await host.send("quick/asked", { n });
      const { data } = eventReply.parse(await (await get(`/v1/events/${id}`)).json());
      expect(data.runs.map(({ function_id }) => function_id)).toEqual(["shop/quick"]);
      const run_id = data.runs[0]?.run_id ?? "";
      // The worker knows that its report is in the log: whoever asks from here on is told the end, at the first try.
      await eventually("the worker's report is acknowledged", () => connected.acks.length > n);
      expect(runReply.parse(await (await get(`/v1/runs/${run_id}`)).json()).data.status).toBe("Completed");
      for (const each of [await runs(), await runs("function=shop/quick"), await runs("status=Completed")]) {
        expect(each.find((run) => run.run_id === run_id)).toMatchObject({ status: "Completed", output: n });
      }
      expect((await runs("status=Running")).map((run) => run.run_id)).not.toContain(run_id);
    }
  });

  it("list all runs of all partitions once, newest first", async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, (_, n) => host.send("slow/asked", { n })));
    const found = await runs("function=shop/slow");
    expect(found.map(({ event_id }) => event_id).sort()).toEqual([...ids].sort());
    const times = found.map(({ run_started_at: at }) => at);
    expect(times).toEqual([...times].sort().reverse());
    expect(await runs("event=slow/asked&status=Running")).toHaveLength(30);
    expect(await runs("event=quick/asked")).toEqual([]);
    expect(await runs(`until=${encodeURIComponent(times.at(-1) ?? "")}`)).toEqual([]);
  });
}

function cancelled(): void {
  it("cancel: 200, and again; 409 for what has ended; 404 for what never was; the timeline says why", async () => {
    const id = await host.send("slow/asked", { n: 1 });
    const { run_id } = await host.run(id, "Running");
    for (let i = 0; i < 2; i += 1) {
      const reply = await get(`/v1/runs/${run_id}?reason=enough`, { method: "DELETE" });
      expect(reply.status).toBe(200);
      expect(runReply.parse(await reply.json()).data).toMatchObject({ run_id, status: "Cancelled" });
    }
    expect((await runs("status=Cancelled")).map((run) => run.run_id)).toEqual([run_id]);
    expect(await runs("status=Running")).toEqual([]);
    expect((await host.timeline(run_id)).at(-1)).toMatchObject({ kind: "runCancelled", reason: "enough" });
    const ended = await host.run(await host.send("quick/asked", { n: 1 }), "Completed");
    expect((await get(`/v1/runs/${ended.run_id}`, { method: "DELETE" })).status).toBe(409);
    expect((await get("/v1/runs/nope", { method: "DELETE" })).status).toBe(404);
  });

  it("show functions with their workers, and figures of all that was done", async () => {
    const { data } = functionsReply.parse(await (await get("/v1/functions")).json());
    expect(data.map(({ id, in_force, workers }) => [id, in_force, workers])).toEqual([
      ["shop/quick", true, 1],
      ["shop/slow", true, 1],
    ]);
    await host.run(await host.send("quick/asked", { n: 1 }), "Completed");
    const text = await (await fetch(`${host.engine.url}/metrics`)).text();
    for (const name of ["eddy_records_total", "eddy_effects_total", "eddy_takeovers_total", "eddy_ready 1"]) {
      expect(text).toContain(name);
    }
    expect(text).toContain('eddy_workers_connected{app="shop"} 1');
    expect(await (await get("/openapi.json")).json()).toMatchObject({ openapi: "3.1.0" });
  });
}

function restarted(): void {
  it("show the same after a restart", async () => {
    const sent = await host.send("quick/asked", { n: 7 });
    await host.run(sent, "Completed");
    const before = await runs();
    await host.restart();
    expect(await runs()).toEqual(before);
    const { data } = eventReply.parse(await (await get(`/v1/events/${sent}`)).json());
    expect(data).toMatchObject({ event: { data: { n: 7 } }, runs: [{ status: "Completed" }] });
  });
}
