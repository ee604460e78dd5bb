/** `npm start` as its user sees it: the printed lines are pasted into a shell, and do what they say. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const PATIENCE_MS = 60_000;
const CHILDREN = ["engine", "cart", "approval", "nudge", "lead"];

/** Asks again until there is an answer, for a bounded time. */
async function until<T>(what: string, probe: () => T | null | undefined | false): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = probe();
    if (found !== null && found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`did not come true within ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const listen = (port: number): Promise<Server | null> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => {
      resolve(null);
    });
    server.listen(port, "127.0.0.1", () => {
      resolve(server);
    });
  });
const close = (server: Server | null): Promise<void> =>
  new Promise((resolve) => (server === null ? resolve() : server.close(() => resolve())));

/** A port that is free, as is the one of the review page. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + (process.pid % 10_000) + tried++ * 4;
    const servers = await Promise.all([listen(port), listen(port + 2)]);
    await Promise.all(servers.map(close));
    if (servers.every((server) => server !== null)) return port;
  }
}
let tried = 0;

class Start {
  output = "";
  code: number | null = null;
  readonly process: ChildProcess;

  constructor(args: readonly string[], command = [process.execPath, join(root, "scripts/start.mjs")]) {
    const [program = "", ...first] = command;
    const all = [...first, "--as-is", "--in-memory", ...args];
    this.process = spawn(program, all, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on("data", (data: Buffer) => (this.output += data.toString()));
    }
    this.process.once("exit", (code) => (this.code = code ?? -1));
  }

  count(line: string): number {
    return this.output.split("\n").filter((printed) => printed.includes(line)).length;
  }
  printed(line: string): Promise<true> {
    return until(`"${line}" is printed; so far:\n${this.output}`, () => this.count(line) > 0 || null);
  }
  pid(name: string): number {
    return Number(new RegExp(`^${name} +\\| process (\\d+)$`, "m").exec(this.output)?.[1]);
  }
  ended(): Promise<number> {
    return until(`npm start ends; so far:\n${this.output}`, () =>
      this.code === null ? null : { code: this.code },
    ).then(({ code }) => code);
  }
  /** The printed lines under the comment that has `words` in it. */
  linesUnder(words: string): readonly string[] {
    const [, after = ""] = this.output.split(words);
    const lines = (after.split("\n\n")[0] ?? "").split("\n").slice(1);
    return lines.map((line) => line.trim()).filter((line) => line !== "");
  }
}

const paste = (lines: readonly string[]): string =>
  execFileSync("bash", ["-c", lines.join("\n")], { encoding: "utf8", timeout: PATIENCE_MS });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // No such process.
  }
}

describe("npm start", { timeout: 3 * PATIENCE_MS }, () => {
  let started: Start | null = null;
  afterEach(async () => {
    started?.process.kill("SIGTERM");
    await started?.ended();
    started = null;
  });

  it("brings up engine and examples; the lines it prints do what they say; SIGTERM ends all of it", async () => {
    const run = (started = new Start(["--port", String(await freePort())]));
    await run.printed("Ctrl-C stops everything");

    paste(run.linesUnder("A cart is left alone"));
    await run.printed("your cart cart-1 is still waiting");
    paste(run.linesUnder("A cart is bought"));
    const answer = paste(run.linesUnder("20 products in one request"));
    expect(answer.match(/"01[0-9A-Z]{24}"/g)).toHaveLength(20);
    await run.printed("your cart cart-3 is still waiting");
    expect([run.count("your cart cart-2"), run.count("your cart cart-3")]).toEqual([0, 1]);

    const [request = ""] = run.linesUnder("A draft waits for a person");
    const { ids } = JSON.parse(paste([request])) as { ids: string[] };
    await run.printed("please review post-1");
    const [reviewUrl = ""] = /http:\S+\/review\/post-1/.exec(run.output) ?? [];
    expect(await (await fetch(reviewUrl)).text()).toContain("Reject");
    await fetch(reviewUrl, { method: "POST", body: new URLSearchParams({ decision: "approve" }) });
    await run.printed("cms: published post-1");
    paste(run.linesUnder("Two sign up"));
    await run.printed("ada, you are almost there");
    paste(run.linesUnder("Two leads come in"));
    await run.printed("nobody has talked to lead l1 for a week");
    expect([run.count("grace, you are almost there"), run.count("to lead l2")]).toEqual([0, 0]);
    const [lookUp = ""] = run.linesUnder("What became of an event");
    expect(paste([lookUp.replace("<id>", ids[0] ?? "")])).toMatch(/"status":"(Running|Completed)"/);

    const pids = CHILDREN.map((name) => run.pid(name));
    expect(pids.filter(isAlive)).toEqual(pids);
    run.process.kill("SIGTERM");
    expect(await run.ended()).toBe(0);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("says when something dies, and stops the rest", async () => {
    const run = (started = new Start(["--port", String(await freePort())]));
    await run.printed("Ctrl-C stops everything");
    const pids = CHILDREN.map((name) => run.pid(name));
    process.kill(run.pid("engine"), "SIGKILL");
    expect(await run.ended()).toBe(1);
    expect(run.output).toContain("engine was ended by SIGKILL");
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("ends with npm, when npm is told to end", async () => {
    const run = (started = new Start(["--port", String(await freePort())], ["npm", "start", "--"]));
    await run.printed("Ctrl-C stops everything");
    const pids = CHILDREN.map((name) => run.pid(name));
    run.process.kill("SIGTERM");
    await until("engine and apps are gone", () => !pids.some(isAlive));
  });

  it.each([
    ["engine", 0],
    ["review page", 2],
  ])("says that the port of the %s is in use, and which other to try", async (_name, offset) => {
    const port = await freePort();
    const holder = await listen(port + offset);
    const run = (started = new Start(["--port", String(port)]));
    expect(await run.ended()).toBe(1);
    await close(holder);
    expect(run.output).toContain(`Port ${port + offset} is in use by another process`);
    expect(run.output).toContain(`npm start -- --port ${port + 10} --data-dir .eddy-${port + 10}`);
  });

  it("refuses a port that is none", async () => {
    const run = (started = new Start(["--port", "eighty"]));
    expect(await run.ended()).toBe(2);
    expect(run.output).toContain("expected a number from 1 to 65533");
  });

  it.each(["--prot=9000", "9000"])("refuses %s, which is no option", async (word) => {
    const run = (started = new Start([word]));
    expect(await run.ended()).toBe(2);
    expect(run.output).toContain("options of npm start: --as-is, --port, --data-dir,");
  });
});
