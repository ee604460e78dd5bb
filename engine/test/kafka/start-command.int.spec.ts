/** The command `eddy start` as a process: what it says, and how it ends. Needs the build, as `npm test` makes it. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, inject, it } from "vitest";
import { EXIT } from "../../src/cli/exit-codes.js";
import { freePorts } from "../../../scripts/kafka/free-ports.js";
import { CliProcess } from "../e2e/cli-process.js";
import { eventually } from "../e2e/fixtures.js";

let folder: string;
let namespace: string;
let started: CliProcess[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "eddy-start-"));
  namespace = `t${randomUUID().slice(0, 8)}`;
  started = [];
});
afterEach(async () => {
  for (const { child } of started) child.kill("SIGKILL");
  await Promise.all(started.map((one) => one.end()));
  await rm(folder, { recursive: true, force: true });
});

const PASSWORD = "not-to-be-seen";

/** A port where nobody listens, for this moment. */
async function configFile(lines: Record<string, unknown>): Promise<string> {
  const path = join(folder, `${randomUUID()}.yaml`);
  const own = { namespace, dev: true, host: "127.0.0.1", port: 0, dataDir: join(folder, "data") };
  await writeFile(path, JSON.stringify({ ...own, brokers: inject("kafkaBrokers"), ...lines })); // JSON is YAML
  return path;
}

async function start(lines: Record<string, unknown> = {}, ...args: string[]): Promise<CliProcess> {
  const one = new CliProcess(["start", "--config", await configFile(lines), ...args]);
  started.push(one);
  return one;
}

it("says where it is and what to try, keeps its data over a restart, and ends with 0 on SIGTERM", async () => {
  const first = await start();
  const url = await first.url();
  expect(first.out).toContain(`namespace ${namespace} (dev), 4 partitions`);
  expect(first.out).toContain("/dev/clock/advance");
  const headers = { "content-type": "application/json" };
  const advanced = await fetch(`${url}/dev/clock/advance`, { method: "POST", headers, body: '{"by":"24h"}' });
  expect(advanced.status).toBe(200);
  first.child.kill("SIGTERM");
  expect(await first.end()).toBe(EXIT.ok);
  const clock = await fetch(`${await (await start()).url()}/dev/clock`);
  expect(((await clock.json()) as { advancedMs: number }).advancedMs).toBe(86_400_000);
});

it("waits for a broker with one message, alive and not ready, and ends at once on SIGTERM", async () => {
  const [brokerPort, port] = await freePorts(2);
  const broker = `127.0.0.1:${brokerPort}`;
  const one = await start({ brokers: [broker], port });
  const url = `http://127.0.0.1:${port}`;
  await eventually("it says so", () => one.out.includes("is not ready yet") && one.out.includes(broker));
  expect((await fetch(`${url}/health/live`)).status).toBe(200);
  const ready = await fetch(`${url}/health/ready`);
  expect(ready.status).toBe(503);
  expect(((await ready.json()) as { reasons: string[] }).reasons.join()).toContain(
    `no Kafka broker answers at ${broker}`,
  );
  const headers = { "content-type": "application/json" };
  const sent = await fetch(`${url}/e/dev`, { method: "POST", headers, body: '{"name":"a"}' });
  expect(sent.status).toBe(503);
  expect(sent.headers.get("retry-after")).toBe("1");
  expect(one.err.trim().split("\n")).toHaveLength(1);
  expect(one.err).toContain(`no Kafka broker answers at ${broker}`);
  one.child.kill("SIGTERM");
  expect(await one.end()).toBe(EXIT.ok);
});

it("says what is wrong with a broker's address: no such host, nobody there, something that is no Kafka", async () => {
  const server = createServer((socket) => socket.end("220 mail\r\n")).listen(0, "127.0.0.1");
  await eventually("listening", () => server.listening);
  const [nobody] = await freePorts(1);
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["no-such-host.invalid:9092", /no address for that name: check the name, and DNS/],
    [`127.0.0.1:${nobody}`, /nobody listens there: check host and port/],
    [`127.0.0.1:${(server.address() as AddressInfo).port}`, /check that ssl and sasl fit the listener of this port/],
  ];
  const tried = wrong.map(async ([broker, what]) => {
    const one = await start({ brokers: [broker], dataDir: join(folder, broker) });
    await eventually("it says so", () => one.out.includes("is not ready yet"));
    expect(one.out).toContain(`no Kafka broker answers at ${broker}`);
    expect(one.out).toMatch(what);
    one.child.kill("SIGTERM");
    expect(await one.end()).toBe(EXIT.ok);
  });
  await Promise.all(tried);
  server.close();
});

it("on a full disk sends go on, readiness says what is wrong, and all is there once there is room", async () => {
  // No file may grow beyond 300 KiB (600 KiB, as some shells count): the same error as on a full disk.
  const full = new CliProcess(["start", "--config", await configFile({})], {}, "ulimit -f 600");
  started.push(full);
  const url = await full.url();
  const send = async (to: string, ids: readonly string[]): Promise<void> => {
    const body = JSON.stringify(ids.map((id) => ({ name: "a", id })));
    const reply = await fetch(`${to}/e/dev`, { method: "POST", headers: { "content-type": "application/json" }, body });
    expect(reply.status).toBe(200);
  };
  const idsOf = (part: number) => Array.from({ length: 1_000 }, (_, i) => `${part}-${i}-${"y".repeat(200)}`);
  for (let part = 0; part < 10; part += 1) await send(url, idsOf(part));
  await eventually("it is not ready, and says why", async () => {
    const reply = await fetch(`${url}/health/ready`);
    const said = await reply.text();
    return reply.status === 503 && said.includes("the disk is full (file too large): make room there");
  });
  await send(url, ["last"]);
  full.child.kill("SIGTERM");
  expect(await full.end()).toBe(EXIT.ok);
  const again = await (await start()).url();
  for (const id of [idsOf(0)[0], idsOf(9)[999], "last"]) {
    expect((await fetch(`${again}/v1/events/${id}`)).status).toBe(200);
  }
});

it("refuses a namespace of another partition count, and says what to do", async () => {
  const first = await start();
  await first.url();
  first.child.kill("SIGTERM");
  await first.end();
  const other = await start({ partitions: 8 });
  expect(await other.end()).toBe(EXIT.config);
  expect(other.err).toMatch(/^eddy: .*partitions 4, not 8; start with the former value.*\n$/);
});

it("says in one line that the port is in use", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await eventually("listening", () => server.listening);
  const one = await start({ port: (server.address() as AddressInfo).port });
  expect(await one.end()).toBe(EXIT.address);
  expect(one.err).toMatch(/^eddy: .*the port is in use.*\n$/);
  server.close();
});

it("says in one line that another engine uses the data directory", async () => {
  await (await start()).url();
  const second = await start();
  expect(await second.end()).toBe(EXIT.dataDir);
  expect(second.err).toMatch(/^eddy: .*\n$/);
});

it("names every problem of the configuration at once, and no secret", async () => {
  const sasl = { mechanism: PASSWORD, username: "eddy", password: PASSWORD, more: PASSWORD };
  const one = await start({ port: 70_000, unheard: "of", sasl }, "--partitions", "0");
  expect(await one.end()).toBe(EXIT.config);
  for (const name of ["port", "unheard", "partitions", "sasl.mechanism"]) expect(one.err).toContain(name);
  expect(one.err).not.toContain(PASSWORD);
});

it("checks a configuration without connecting to anything", async () => {
  const fine = await start({ brokers: ["nowhere:1"] }, "--check-config");
  expect(await fine.end()).toBe(EXIT.ok);
  const wrong = await start({ port: -1 }, "--check-config");
  expect(await wrong.end()).toBe(EXIT.config);
});
