/** How a seed goes: registrations, the timeline under trouble, then calm, in which all that was begun must end. */
import { encodeInbox, offset as toOffset, type FunctionConfig, type InboxRecord } from "@eddy/schemas";
import type { Cluster } from "./cluster.js";
import type { Prng } from "./prng.js";
import type { Action, Scenario } from "./scenario.js";

const REGISTRATION_MS_MAX = 300_000;
/** Rounds of the calm after the storm, and how far each moves the clock: until nothing can be waiting any more. */
const ROUNDS_MAX = 120;
const ADVANCES_MS = [5_000, 60_000, 600_000, 7_200_000, 26 * 3_600_000] as const;

export class Course {
  readonly #cluster: Cluster;
  readonly #scenario: Scenario;
  readonly #rng: Prng;

  constructor(cluster: Cluster, scenario: Scenario, rng: Prng) {
    this.#cluster = cluster;
    this.#scenario = scenario;
    this.#rng = rng;
  }

  /** @returns what never came to its end, or null. */
  async run(): Promise<string | null> {
    const { scheduler, watch } = this.#cluster;
    await this.#cluster.start();
    const { early, scripts } = this.#scenario;
    for (const app of early) {
      const own = scripts.filter((script) => script.app === app);
      await this.#register(
        app,
        own.map((script) => script.config),
      );
    }
    const registered = (): boolean => watch.registry.latest.version >= early.length;
    await this.#until(registered, REGISTRATION_MS_MAX);
    if (!registered()) return "the first registrations are not in force after five minutes without trouble";
    this.#cluster.trouble.begin();
    const startMs = scheduler.nowMs;
    for (const { afterMs, action } of this.#scenario.timeline) {
      await this.#until(() => false, startMs + afterMs - scheduler.nowMs);
      await this.#act(action);
    }
    await this.#until(() => false, this.#rng.between(1_000, 60_000));
    this.#cluster.trouble.end();
    const stuck = await this.#comeToRest();
    if (stuck !== null) return stuck;
    return this.#stop();
  }

  /** Lets the world go on until `done`, at most `ms`. */
  async #until(done: () => boolean, ms: number): Promise<void> {
    const { scheduler } = this.#cluster;
    if (ms < 0) return;
    let over = false;
    scheduler.at(ms, "time is up", () => {
      over = true;
    });
    await scheduler.run(() => over || done());
  }

  async #act(action: Action): Promise<void> {
    const { watch } = this.#cluster;
    switch (action.kind) {
      case "send":
        void this.#cluster.send(action.event);
        return;
      case "advance":
        return this.#advance(action.ms);
      case "cancelRun": {
        const runId = watch.alive.at(-1);
        if (runId === undefined) return;
        const partition = Number.parseInt(runId.slice(0, 3), 16) % this.#scenario.partitions;
        return this.#append(partition, { kind: "cancel", runId, reason: "asked for" });
      }
      case "register":
        return this.#register(action.app, action.functions);
      case "garbage":
        return this.#appendBytes(action.partition, new Uint8Array([1, 0, 0xc1, 7]));
      case "tick":
        return this.#append(action.partition, { kind: "tick" });
      case "upgrade":
        return this.#cluster.upgrade();
      case "deploy":
        return this.#cluster.deploy(action.app);
      case "bogus":
        return this.#append(action.partition, this.#bogus());
    }
  }

  #register(app: string, functions: readonly FunctionConfig[]): Promise<void> {
    const { settleMs } = this.#scenario;
    return this.#append(0, { kind: "register", config: { app, functions: [...functions] }, settleMs });
  }

  /** What a confused or malicious worker might say. */
  #bogus(): InboxRecord {
    const { alive } = this.#cluster.watch;
    const runId = alive.length > 0 && this.#rng.chance(0.8) ? this.#rng.pick(alive) : "000no-such-run";
    const invocation = this.#rng.between(1, 6);
    const app = this.#rng.pick(this.#scenario.apps);
    return this.#rng.pick<InboxRecord>([
      { kind: "report", report: { runId, invocation, ops: [], outcome: null } },
      {
        kind: "report",
        report: {
          ...{ runId, invocation, outcome: null },
          ops: [{ kind: "stepCompleted", stepId: "bogus", data: new Uint8Array([0x31]) }],
        },
      },
      { kind: "heartbeat", app, running: [{ runId, invocation }] },
      // Not of a run that lives: whoever has its invocation would have to be asked, too.
      { kind: "declined", runId: "000no-such-run", invocation: Math.ceil(invocation / 2) },
      { kind: "delivered", app, mark: { offset: toOffset(0), index: 0 } },
      { kind: "cancel", runId: "000no-such-run", reason: "bogus" },
    ]);
  }

  async #advance(ms: number): Promise<void> {
    for (let p = 0; p < this.#scenario.partitions; p++) await this.#append(p, { kind: "advance", ms });
  }

  #append(partition: number, record: InboxRecord): Promise<void> {
    return this.#appendBytes(partition, encodeInbox(record));
  }

  async #appendBytes(partition: number, value: Uint8Array): Promise<void> {
    const { log, driver, topics } = this.#cluster;
    let done = false;
    const appending = log.portOf(driver).append(topics.inbox, partition, [{ key: null, value }]);
    void appending.then(() => {
      done = true;
    });
    await this.#cluster.scheduler.run(() => done);
  }

  /** After the trouble: everything that was begun must end, and what is remembered must be forgotten. */
  async #comeToRest(): Promise<string | null> {
    const { watch } = this.#cluster;
    const atRest = (): boolean => watch.allEnded && this.#cluster.workersIdle;
    // Rounds in which no run ends count; with many slow runs and retries, whole minutes of steps are progress too.
    for (let round = 0, idle = 0; idle < ROUNDS_MAX; round++, idle++) {
      const alive = watch.alive.length;
      // Late reports and replies of steps may still come, and start what must end.
      const before = watch.lines;
      if (round === 0 || atRest()) await this.#until(() => false, 200_000);
      if (atRest() && watch.lines === before) break;
      await this.#advance(ADVANCES_MS[Math.min(round, ADVANCES_MS.length - 1)] ?? 0);
      const { lines } = watch;
      await this.#until(atRest, 3_000);
      if (watch.lines === lines) await this.#until(() => watch.lines !== lines, 130_000);
      if (watch.alive.length < alive) idle = 0;
    }
    if (!watch.allEnded) return `${watch.alive.length} runs never ended: ${watch.alive.slice(0, 3).join(", ")}`;
    await this.#advance(52 * 3_600_000); // event ids are forgotten
    await this.#until(() => false, 90_000);
    return null;
  }

  async #stop(): Promise<string | null> {
    let stopped = 0;
    const { engines } = this.#cluster;
    for (const engine of engines) void engine.stop().then(() => (stopped += 1));
    await this.#until(() => stopped === engines.length, 300_000);
    return stopped === engines.length ? null : "an engine did not stop";
  }
}
