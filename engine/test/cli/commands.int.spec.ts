/** Every command against an engine in this process, as a user would type it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  clockReply,
  eventReply,
  functionsReply,
  LIMITS,
  runReply,
  runsReply,
  runSummary,
  sendEventsReply,
  timelineLine,
  type StepRequest,
} from "@eddy/schemas";
import { EXIT } from "../../src/cli/exit-codes.js";
import { eventually, fn, Host, json, parse, type Script } from "../e2e/fixtures.js";
import { on } from "../partition/builders.js";
import { eddy, linesOf, Screen, type Ended, type Given } from "./command-line.js";

const quick = fn({ id: "quick", triggers: [on("quick/asked")] });
const slow = fn({ id: "slow", triggers: [on("slow/asked")] });
const broken = fn({ id: "broken", triggers: [on("broken/asked")], retries: 0 });

/** `slow` naps for a day, then returns; `broken` throws. */
const script: Script = ({ functionId, event, memo }: StepRequest) => {
  if (functionId === "shop/broken") {
    const error = { name: "Error", message: "no mail", stack: null };
    return { ops: [], outcome: { kind: "threw", error, retriable: false, retryAfter: null } };
  }
  if (functionId === "shop/slow" && memo.length === 0) {
    const op = { kind: "sleepRequested" as const, stepId: "nap", until: { ms: 86_400_000 } };
    return { ops: [op], outcome: { kind: "suspended" } };
  }
  const { data } = parse(event) as { data?: { n: number } };
  return { ops: [], outcome: { kind: "returned", data: json(data?.n ?? null) } };
};

let host: Host;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "eddy-commands-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  host = await Host.start("memory");
  await host.worker([quick, slow, broken], script);
});
afterEach(() => host.close());

/** By the environment's URL, as from a terminal or a script. */
function run(args: readonly string[], given: Given = {}): Promise<Ended> {
  return eddy(args, { ...given, environment: { EDDY_BASE_URL: host.engine.url, ...given.environment } });
}
async function ok(args: readonly string[], given?: Given): Promise<string> {
  const { code, out, err } = await run(args, given);
  expect({ code, err }).toEqual({ code: EXIT.ok, err: "" });
  return out;
}
const jsonOf = async (args: readonly string[], given?: Given): Promise<unknown> =>
  JSON.parse(await ok([...args, "--json"], given));
/** One line on stderr, nothing on stdout. */
async function refused(args: readonly string[], exit: number, given?: Given): Promise<string> {
  const { code, out, err } = await run(args, given);
  expect({ code, out, lines: linesOf(err).length }).toEqual({ code: exit, out: "", lines: 1 });
  expect(err).toMatch(/^eddy: /);
  return err;
}
const file = async (name: string, text: string): Promise<string> => {
  await writeFile(join(folder, name), text);
  return join(folder, name);
};
const eventOf = async (id: string) => eventReply.parse(await jsonOf(["events", id])).data.event;

describe("eddy send", () => {
  it("prints the id, also as JSON; the event has what was given", async () => {
    const more = ["--data", '{"n":1}', "--user", '{"email":"a@b"}', "--id", "mine", "--ts", "2026-01-01T00:00:00Z"];
    expect(await ok(["send", "a/b", ...more])).toBe("mine\n");
    const event = { name: "a/b", id: "mine", ts: Date.UTC(2026, 0), data: { n: 1 }, user: { email: "a@b" } };
    expect(await eventOf("mine")).toEqual(event);
    const reply = sendEventsReply.parse(await jsonOf(["send", "a/b"]));
    expect(reply).toEqual({ ids: ["made-1"], status: 200 });
  });

  it("takes data from a file or stdin", async () => {
    const path = await file("data.json", '{"n":2}\n');
    await ok(["send", "a/b", "--id", "f", "--data", `@${path}`]);
    await ok(["send", "a/b", "--id", "s", "--data", "-"], { stdin: '{"n":3}' });
    expect([await eventOf("f"), await eventOf("s")]).toMatchObject([{ data: { n: 2 } }, { data: { n: 3 } }]);
  });

  it("sends a file of one event, an array, or lines, from disk or stdin, in parts", async () => {
    const one = await file("one.json", '{\n  "name": "a/b",\n  "id": "one"\n}');
    expect(await ok(["send", "--file", one])).toBe("one\n");
    const events = Array.from({ length: 2_500 }, (_, i) => ({ name: "a/b", id: `e${i}`, data: { i } }));
    const all = events.map(({ id }) => id);
    const array = await file("array.json", JSON.stringify(events));
    expect(linesOf(await ok(["send", "--file", array]))).toEqual(all);
    const lines = `${events.map((event) => JSON.stringify(event)).join("\n")}\n\n`;
    expect(await jsonOf(["send", "--file", "-"], { stdin: lines })).toEqual({ ids: all, status: 200 });
    expect(await eventOf("e2499")).toMatchObject({ data: { i: 2_499 } });
  });

  it("says how far it came when a later part is refused", async () => {
    const small = Array.from({ length: 1_000 }, () => ({ name: "a/b" }));
    const large = { name: "a/b", data: { x: "y".repeat(LIMITS.eventBytesMax) } };
    const path = await file("late.json", JSON.stringify([...small, large]));
    const err = await refused(["send", "--file", path], EXIT.refused);
    expect(err).toMatch(/of 1001 events, 1000 are sent; 1001 to 1001 failed: .*\(413 EVENT_TOO_LARGE\)/);
  });

  it.each<[string, readonly string[], RegExp]>([
    ["no name", ["send"], /expected the event's name, or --file/],
    ["a name and a file", ["send", "a", "--file", "x"], /a name or --file, not both/],
    ["data and a file", ["send", "--file", "x", "--data", "{}"], /--data or --file, not both/],
    ["data that is no JSON", ["send", "a", "--data", "{n:1}"], /--data: not JSON: .*put it in quotes/],
    ["data that is no object", ["send", "a", "--data", "[1]"], /^eddy: data: /],
    [
      "data of a file that is not there",
      ["send", "a", "--data", "@nope.json"],
      /cannot read nope.json: there is no such/,
    ],
    ["data of a folder", ["send", "a", "--data", "@."], /cannot read \.: it is a folder/],
    ["data and user of stdin", ["send", "a", "--data", "-", "--user", "-"], /cannot both be read from stdin/],
    ["an empty name", ["send", ""], /name: /],
    ["a name that is too long", ["send", "n".repeat(257)], /name: /],
    ["a reserved name", ["send", "eddy/x"], /name: names that start with eddy\/ or inngest\/ are reserved/],
    ["an empty id", ["send", "a", "--id", ""], /id: /],
    ["a ts that is no time", ["send", "a", "--ts", "soon"], /--ts: expected ISO 8601 .* got "soon"/],
    ["a ts beyond all dates", ["send", "a", "--ts", "8640000000000001"], /ts: /],
    ["an option that there is not", ["send", "a", "--nope"], /unknown option '--nope'; see --help/],
    ["a URL that is none", ["send", "a", "--url", "localhost:8288"], /--url: expected an http or https URL/],
    ["a timeout that is none", ["send", "a", "--timeout", "long"], /--timeout <duration>.*expected a duration/],
  ])("refuses %s and sends nothing", async (_, args, wanted) => {
    expect(await refused(args, EXIT.config)).toMatch(wanted);
  });

  it.each<[string, string, RegExp]>([
    ["nothing", "\n", /stdin: expected events, got nothing/],
    ["an empty array", "[]", /stdin: expected at least one event/],
    ["a broken line", '{"name":"a"}\n{"name":\n', /stdin: line 2: not JSON/],
    ["a line that is no event", '{"name":"a"}\n\n{"id":"x"}\n', /stdin: line 3: the event has no name/],
    ["an array in a line", '{"name":"a"}\n[]\n', /stdin: line 2: expected an event, got an array/],
    ["an element that is no event", '[{"name":"a"},{"name":"eddy/a"}]', /stdin: event 2: name: .*reserved/],
    ["a number", "7", /stdin: expected an event/],
  ])("refuses a file of %s and sends nothing", async (_, stdin, wanted) => {
    expect(await refused(["send", "--file", "-"], EXIT.config, { stdin })).toMatch(wanted);
  });
});

describe("eddy events, functions, clock", () => {
  it("show an event and what it started", async () => {
    const id = await host.send("quick/asked", { n: 1 });
    await host.run(id, "Completed");
    const lines = linesOf(await ok(["events", id]));
    expect(lines.slice(0, 2)).toEqual([`event     ${id}`, "name      quick/asked"]);
    expect(lines[3]).toBe('data      {"n":1}');
    expect(lines.at(-2)).toMatch(/^RUN +STATUS +FUNCTION +EVENT +STARTED +TOOK$/);
    expect(lines.at(-1)).toMatch(/^\w+ +Completed +shop\/quick +quick\/asked +2\S+Z +\d/);
    expect(await ok(["events", await host.send("nobody/listens", {})])).toContain("it started nothing\n");
    expect(await refused(["events", "no such/event"], EXIT.refused)).toContain("there is no event no such/event");
  });

  it("show functions and their workers", async () => {
    const lines = linesOf(await ok(["functions"]));
    expect(lines[0]).toMatch(/^FUNCTION +TRIGGERS +WAITS FOR +CANCELLED BY +WORKERS +VERSION$/);
    expect(lines.slice(1).map((line) => line.split(/ +/).slice(0, 5))).toEqual([
      ["shop/broken", "broken/asked", "-", "-", "1"],
      ["shop/quick", "quick/asked", "-", "-", "1"],
      ["shop/slow", "slow/asked", "-", "-", "1"],
    ]);
    expect(functionsReply.parse(await jsonOf(["functions"])).data).toHaveLength(3);
  });

  it("show the clock and move it, wherever the options stand", async () => {
    expect(await ok(["clock"])).toMatch(/^2\S+Z\n$/);
    expect(await ok(["clock", "advance", "36h"])).toMatch(/^2\S+Z \(1d 12h ahead\)\n$/);
    expect(clockReply.parse(await jsonOf(["clock"])).advancedMs).toBe(129_600_000);
    const { url } = host.engine;
    const environment = { EDDY_BASE_URL: "" };
    await ok(["clock", "--url", url, "advance", "1h"], { environment });
    await ok(["clock", "advance", "1h", "--url", url], { environment });
    expect(clockReply.parse(await jsonOf(["clock"])).advancedMs).toBe(136_800_000);
    for (const by of ["soon", "400d", "-1h", ""]) {
      expect((await run(["clock", "advance", by])).code).toBe(EXIT.config);
    }
    expect(clockReply.parse(await jsonOf(["clock"])).advancedMs).toBe(136_800_000);
  });
});

describe("eddy runs", () => {
  it("lists the newest first, filtered, as many as asked for", async () => {
    for (let n = 0; n < 25; n += 1) await host.run(await host.send("quick/asked", { n }), "Completed");
    const failed = await host.run(await host.send("broken/asked", {}), "Failed");
    expect(linesOf(await ok(["runs"]))).toHaveLength(21);
    const rows = linesOf(await ok(["runs", "--limit", "200"])).slice(1);
    expect(rows).toHaveLength(26);
    expect(rows[0]).toMatch(new RegExp(`^${failed.run_id} +Failed +shop/broken +broken/asked `));
    const page = runsReply.parse(await jsonOf(["runs", "--limit", "3"]));
    expect(page.data).toHaveLength(3);
    expect(page.next_cursor).not.toBeNull();
    const whole = runsReply.parse(await jsonOf(["runs", "--function", "shop/quick", "--limit", "200"]));
    expect([whole.data.length, whole.next_cursor]).toEqual([25, null]);
    for (const filter of [
      ["--status", "failed"],
      ["--event", "broken/asked"],
    ]) {
      const { data } = runsReply.parse(await jsonOf(["runs", ...filter]));
      expect(data.map(({ run_id }) => run_id)).toEqual([failed.run_id]);
    }
    const ndjson = linesOf(await ok(["runs", "--all", "--json"])).map((line) => runSummary.parse(JSON.parse(line)));
    expect(new Set(ndjson.map(({ run_id }) => run_id)).size).toBe(26);
  });

  it("goes by the engine's clock for how long ago", async () => {
    await host.run(await host.send("quick/asked", { n: 1 }), "Completed");
    await host.advance("3d");
    await host.run(await host.send("quick/asked", { n: 2 }), "Completed");
    const outputs = async (...args: string[]): Promise<unknown[]> =>
      runsReply.parse(await jsonOf(["runs", ...args])).data.map(({ output }) => output);
    expect(await outputs("--since", "1d")).toEqual([2]);
    expect(await outputs("--until", "1d")).toEqual([1]);
    expect(await outputs("--since", "4d")).toEqual([2, 1]);
    expect(await outputs("--since", "2020-01-01", "--until", String(Date.UTC(2021, 0)))).toEqual([]);
  });

  it("says on a terminal that there is none, or more", async () => {
    const err = new Screen(80);
    expect((await run(["runs"], { out: new Screen(80), err })).err).toBe("no runs\n");
    for (let n = 0; n < 3; n += 1) await host.run(await host.send("quick/asked", { n }), "Completed");
    const seen = await run(["runs", "--limit", "2"], { out: new Screen(60), err: new Screen(60) });
    expect(seen.err).toContain("there may be more");
    expect(seen.out).toContain("\u001b[32mCompleted");
    const noColor = await run(["runs"], { out: new Screen(80), environment: { NO_COLOR: "1" } });
    expect(noColor.out).not.toContain("\u001b");
  });

  it.each<[readonly string[], RegExp]>([
    [["--limit", "0"], /--limit.*at least 1/],
    [["--limit", "many"], /--limit/],
    [["--status", "done"], /--status.*Running, Completed, Failed, Cancelled/],
    [["--since", "yesterday"], /--since: expected a time/],
    [["--all", "--limit", "3"], /--all or --limit, not both/],
    [["extra"], /too many arguments/],
  ])("refuses %j", async (args, wanted) => {
    expect(await refused(["runs", ...args], EXIT.config)).toMatch(wanted);
  });

  it("ends quietly when nobody reads on", async () => {
    for (let n = 0; n < 3; n += 1) await host.send("slow/asked", { n });
    const out = new Writable({
      write: (_, __, done) => done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" })),
    });
    expect(await run(["runs", "--all"], { out })).toEqual({ code: EXIT.ok, out: "", err: "" });
  });
});

describe("eddy run, eddy cancel", () => {
  it("show what happened, as text and JSON", async () => {
    const { run_id } = await host.run(await host.send("quick/asked", { n: 5 }), "Completed");
    const lines = linesOf(await ok(["run", run_id]));
    expect(lines[0]).toBe(`run       ${run_id}`);
    expect(lines.find((line) => line.startsWith("output"))).toBe("output    5");
    expect(lines.at(-1)).toMatch(/^\+\S+ +completed +5$/);
    const { data, timeline } = (await jsonOf(["run", run_id])) as { data: unknown; timeline: unknown[] };
    expect(runReply.parse({ data }).data).toMatchObject({ run_id, status: "Completed", output: 5 });
    expect(timeline.map((line) => timelineLine.parse(line).kind)).toEqual([
      "runStarted",
      "runDispatched",
      "runCompleted",
    ]);
  });

  it.each(["run", "cancel"])("%s says that there is no such run", async (command) => {
    expect(await refused([command, "nope"], EXIT.refused)).toContain("there is no run nope (404 RUN_NOT_FOUND)");
    expect(await refused([command], EXIT.config)).toContain("missing required argument 'id'");
  });

  it("follow a live run to its end, as it happens", async () => {
    const { run_id } = await host.run(await host.send("slow/asked", { n: 6 }), "Running");
    const out = new Screen();
    const lines = new Screen();
    const following = run(["run", run_id, "--follow"], { out });
    const alsoJson = run(["run", run_id, "-f", "--json"], { out: lines });
    await eventually("it is seen asleep", () => /sleep nap/.test(out.text) && /sleepStarted/.test(lines.text));
    expect(out.text).not.toContain("is over");
    await host.advance("1d");
    expect((await following).code).toBe(EXIT.ok);
    expect(out.text).toMatch(/\+1d\S* +sleep nap is over\n/);
    expect(out.text).toMatch(/\n\nstatus {4}Completed after 1d\S*\noutput {4}6\n$/);
    expect((await alsoJson).code).toBe(EXIT.ok);
    const kinds = linesOf(lines.text).map((line) => timelineLine.parse(JSON.parse(line)).kind);
    expect([kinds[0], kinds.at(-1)]).toEqual(["runStarted", "runCompleted"]);
    expect(kinds).toEqual((await host.timeline(run_id)).map(({ kind }) => kind));
  });

  it("cancel a run that is followed: its follower ends with a code of its own", async () => {
    const { run_id } = await host.run(await host.send("slow/asked", { n: 1 }), "Running");
    const following = run(["run", run_id, "--follow"]);
    expect(await ok(["cancel", run_id, "--reason", "had enough"])).toBe(`run ${run_id} is Cancelled\n`);
    const { code, out } = await following;
    expect(code).toBe(EXIT.notCompleted);
    expect(out).toMatch(/cancelled +had enough\n/);
    expect(runReply.parse(await jsonOf(["cancel", run_id])).data.status).toBe("Cancelled");
    const { run_id: ended } = await host.run(await host.send("quick/asked", { n: 1 }), "Completed");
    expect(await refused(["cancel", ended], EXIT.refused)).toContain("is Completed already (409 RUN_FINISHED)");
    expect(await refused(["cancel", ended, "--reason", ""], EXIT.config)).toContain("Expected 1 to 1024 characters");
  });

  it("a failed run says why", async () => {
    const { run_id } = await host.run(await host.send("broken/asked", {}), "Failed");
    expect(await ok(["run", run_id])).toContain("error     Error: no mail\n");
    expect((await run(["run", run_id, "--follow"])).code).toBe(EXIT.notCompleted);
  });
});

describe("where there is no engine", () => {
  const COMMANDS = [["send", "a"], ["events", "e"], ["runs"], ["run", "r"], ["cancel", "r"], ["functions"], ["clock"]];
  it.each([...COMMANDS, ["run", "r", "--follow"], ["clock", "advance", "1h"]])(
    "eddy %s %s says so",
    async (...args) => {
      const server = createServer().listen(0, "127.0.0.1");
      await eventually("listening", () => server.listening);
      const { port } = server.address() as AddressInfo;
      await new Promise((resolve) => server.close(resolve));
      const given = { environment: { EDDY_BASE_URL: `http://127.0.0.1:${port}/` } };
      const err = await refused(args.filter(Boolean), EXIT.unreachable, given);
      expect(err).toContain(`no engine answers at http://127.0.0.1:${port} (connection refused)`);
    },
  );

  it("or something else that is none, says so", async () => {
    const server = createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1");
    await eventually("listening", () => server.listening);
    const { port } = server.address() as AddressInfo;
    const err = await refused(["runs", "--url", `http://127.0.0.1:${port}`], EXIT.unreachable);
    expect(err).toContain("is no gateway of Eddy: it answered 200 hello");
    server.close();
  });
});
