/** The command `eddy dev` as a process: what it says, and how it ends. Needs the build, as `npm test` makes it. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { EXIT } from "../../src/cli/exit-codes.js";
import { CliProcess } from "./cli-process.js";
import { eventually } from "./fixtures.js";

let dataDir: string;
let started: CliProcess[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "eddy-cli-"));
  started = [];
});
afterEach(async () => {
  for (const { child } of started) child.kill("SIGKILL");
  await Promise.all(started.map((one) => one.end()));
  await rm(dataDir, { recursive: true, force: true });
});

function eddy(args: readonly string[], environment?: Record<string, string>): CliProcess {
  const one = new CliProcess(args, environment);
  started.push(one);
  return one;
}
const dev = (...args: string[]): CliProcess => eddy(["dev", "--port", "0", "--data-dir", dataDir, ...args]);
const advance = (url: string): Promise<Response> =>
  fetch(`${url}/dev/clock/advance`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"by":"24h"}',
  });

it.each(["SIGTERM", "SIGINT"] as const)("says where it is and what to try, and ends with 0 on %s", async (signal) => {
  const first = dev();
  const url = await first.url();
  expect(first.out).toContain("/dev/clock/advance");
  expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  expect((await advance(url)).status).toBe(200);
  first.child.kill(signal);
  expect(await first.end()).toBe(EXIT.ok);
  expect(first.err).toBe("");
  const again = dev();
  const clock = (await (await fetch(`${await again.url()}/dev/clock`)).json()) as { advancedMs: number };
  expect(clock.advancedMs).toBe(86_400_000);
});

it("keeps what it acknowledged over kill -9", async () => {
  const first = dev();
  expect((await advance(await first.url())).status).toBe(200);
  first.child.kill("SIGKILL");
  await first.end();
  const clock = (await (await fetch(`${await dev().url()}/dev/clock`)).json()) as { advancedMs: number };
  expect(clock.advancedMs).toBe(86_400_000);
});

it("leaves nothing behind in memory", async () => {
  const one = dev("--in-memory");
  expect(await one.url()).toBeTruthy();
  expect(one.out).toContain("in memory");
});

it("names every problem of the configuration at once", async () => {
  const one = eddy(["dev", "--port", "70000", "--partitions", "0", "--in-memory", "--fsync"], {
    EDDY_LOG_LEVEL: "loud",
    EDDY_DATA_DIR: "",
  });
  expect(await one.end()).toBe(EXIT.config);
  for (const name of ["port", "partitions", "EDDY_LOG_LEVEL", "EDDY_DATA_DIR"]) expect(one.err).toContain(name);
  expect(one.err).not.toContain(" at ");
});

it.each([[["dev", "--nope"]], [["nope"]], [["dev", "--log-level", "loud"]]])(
  "ends with the code for configuration on %j",
  async (args) => {
    const one = eddy(args);
    expect(await one.end()).toBe(EXIT.config);
    expect(one.err).not.toBe("");
  },
);

it("says in one line that the port is in use", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await eventually("listening", () => server.listening);
  const { port } = server.address() as AddressInfo;
  const one = eddy(["dev", "--in-memory", "--port", String(port)]);
  expect(await one.end()).toBe(EXIT.address);
  expect(one.err).toMatch(/^eddy: .*the port is in use.*\n$/);
  server.close();
});

it("says in one line that the data directory is in use", async () => {
  await dev().url();
  const second = dev();
  expect(await second.end()).toBe(EXIT.dataDir);
  expect(second.err).toMatch(/^eddy: .*\n$/);
  expect(second.err).toContain(dataDir);
});

it.each([
  ["below a file", (): string => join(dataDir, "file", "sub")],
  // /proc is there, and says ENOENT of whatever is to be made in it.
  ["where nothing can be made", (): string => "/proc/nope"],
])("says in one line that the data directory cannot be made: %s", async (_where, directory) => {
  await writeFile(join(dataDir, "file"), "");
  const one = eddy(["dev", "--port", "0", "--data-dir", directory()]);
  expect(await one.end()).toBe(EXIT.dataDir);
  expect(one.err).toMatch(/^eddy: cannot write to the data directory .*\n$/);
});

it("says in one line that the log is damaged, and touches nothing", async () => {
  const first = dev();
  await first.url();
  first.child.kill("SIGTERM");
  await first.end();
  const log = join(dataDir, "log");
  const manifest = (await readdir(log)).find((name) => name.startsWith("MANIFEST")) as string;
  await writeFile(join(log, manifest), "not any more");
  const second = dev();
  expect(await second.end()).toBe(EXIT.dataDir);
  expect(second.err).toMatch(
    /^eddy: the data in .*log is damaged: .*; put a copy of this directory in its place, or .*\n$/,
  );
  expect(await readFile(join(log, manifest), "utf8")).toBe("not any more");
});

it("says in one line that there is no room for the data directory", async () => {
  const one = new CliProcess(["dev", "--port", "0", "--data-dir", dataDir], {}, "ulimit -f 0");
  started.push(one);
  expect(await one.end()).toBe(EXIT.dataDir);
  expect(one.err).toMatch(/^eddy: .*the disk is full \(file too large\): make room there\n$/);
});

/** No file may grow beyond 300 KiB (600 KiB, as some shells count): the same error as on a full disk, for large events. */
const SMALL_FILES = "ulimit -f 600";
const LARGE = JSON.stringify({ name: "a", id: "large", data: { text: "x".repeat(1_000_000) } });

it("on a full disk: 503 that says so, nothing acknowledged is lost, and it goes on by itself", async () => {
  const full = new CliProcess(["dev", "--port", "0", "--data-dir", dataDir], {}, SMALL_FILES);
  started.push(full);
  const url = await full.url();
  const send = (to: string, body: string): Promise<Response> =>
    fetch(`${to}/e/dev`, { method: "POST", headers: { "content-type": "application/json" }, body });
  const acknowledged: string[] = [];
  for (const id of ["before-1", "before-2"]) {
    expect((await send(url, JSON.stringify({ name: "a", id }))).status).toBe(200);
    acknowledged.push(id);
  }
  const refused = await send(url, LARGE);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await refused.text()).toMatch(
    /it is tried again until .*the disk is full \(file too large\): make room there/,
  );
  expect((await fetch(`${url}/health/live`)).status).toBe(200);
  await eventually("what fits is taken again", async () => {
    return (await send(url, '{"name":"a","id":"after"}')).status === 200;
  });
  acknowledged.push("after");
  expect(full.err).toMatch(/"level":50,.*a write to the log failed/);
  full.child.kill("SIGTERM");
  expect(await full.end()).toBe(EXIT.ok);
  const again = await dev().url();
  for (const id of acknowledged) expect((await fetch(`${again}/v1/events/${id}`)).status).toBe(200);
  expect((await send(again, LARGE)).status).toBe(200);
  expect((await fetch(`${again}/v1/events/large`)).status).toBe(200);
});

it("refuses a data directory of another partition count", async () => {
  const first = dev("--partitions", "2");
  await first.url();
  first.child.kill("SIGTERM");
  expect(await first.end()).toBe(EXIT.ok);
  const other = dev("--partitions", "3");
  expect(await other.end()).toBe(EXIT.config);
  expect(other.err).toMatch(/^eddy: .*partitions 2, not 3.*\n$/);
});
