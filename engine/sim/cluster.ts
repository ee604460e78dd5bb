/**
 * A simulated cluster: machines with engine processes, machines with workers, one log. It starts and restarts processes,
 * makes the trouble that the seed asks for, and lets calm return.
 */
import { appTopicSpecs, coreTopicSpecs, topicsOf, type Topics } from "../src/topics.js";
import { core } from "../src/core/core.js";
import type { Core } from "../src/core/index.js";
import type { RunState } from "@eddy/schemas";
import { EngineProcess, type EnginePorts } from "./actors/engine-host.js";
import { Facts } from "./actors/facts.js";
import { Group, SESSION_MS, type Member } from "./actors/group.js";
import { sendEvent, type SimEvent } from "./actors/send.js";
import { SimWorker } from "./actors/worker.js";
import { CALM, SeededFate } from "./faults.js";
import { LogWatch } from "./log-watch.js";
import { simLogger } from "./ports/sim-logger.js";
import { SimClock } from "./ports/sim-clock.js";
import { SharedLog } from "./ports/sim-log.js";
import { SimDisk, SimStoreFactory } from "./ports/sim-store.js";
import { SimProcess } from "./process.js";
import type { Prng } from "./prng.js";
import type { Snapshot } from "./judge/state.js";
import { APP, type Scenario } from "./scenario.js";
import { Scheduler } from "./scheduler.js";
import type { Script } from "./script/script.js";
import type { Trace } from "./trace.js";

/** Something wrong that is put into every engine process from outside, to see whether the judge notices. */
export interface Sabotage {
  /** Of one process. The judge replays with it as well: as incarnation 0, at the end of time. */
  readonly core?: (core: Core, at: { readonly nowMs: () => number; readonly incarnation: number }) => Core;
  readonly engine?: (ports: EnginePorts) => EnginePorts;
}

interface Machine {
  readonly name: string;
  readonly kind: "engine" | "worker";
  readonly number: number;
  readonly disk: SimDisk;
  readonly group: Group;
  incarnation: number;
  process: SimProcess | null;
  member: (EngineProcess | SimWorker) | null;
}

export class Cluster {
  readonly scenario: Scenario;
  readonly scheduler: Scheduler;
  readonly log: SharedLog;
  readonly facts = new Facts();
  readonly topics: Topics = topicsOf("sim");
  readonly watch: LogWatch;
  readonly scripts: ReadonlyMap<string, Script>;
  readonly machines: readonly Machine[];
  readonly #rng: Prng;
  readonly #fate: SeededFate;
  readonly #sabotage: Sabotage;
  readonly #immune = new Set<SimProcess>();
  readonly driver: SimProcess;
  /** Disks as they were found after crashes. */
  readonly snapshots: Snapshot[] = [];
  #sender: SimProcess;
  #senders = 0;
  #troubled = false;

  constructor(scenario: Scenario, rng: Prng, trace: Trace, sabotage: Sabotage) {
    this.scenario = scenario;
    this.#rng = rng;
    this.#sabotage = sabotage;
    this.scheduler = new Scheduler(rng.fork(), trace);
    this.log = new SharedLog(this.scheduler, rng.fork());
    this.watch = new LogWatch(this.log.journal, this.topics);
    this.log.describe = (topic, records) => this.watch.describe(topic, records);
    this.#fate = new SeededFate(rng.fork(), this.#immune, (process) => this.#onCrash(process));
    this.scheduler.fate = this.#fate;
    this.scripts = new Map(scenario.scripts.map((s) => [`${s.app}/${s.config.id}`, s]));
    this.driver = this.#process("driver");
    this.#immune.add(this.driver);
    this.#sender = this.#process("sender");
    const engines = new Group(this.scheduler, rng.fork(), scenario.partitions);
    const workers = new Group(this.scheduler, rng.fork(), scenario.partitions);
    this.machines = [
      ...Array.from({ length: scenario.engines }, (_, i) => machine("engine", i, engines)),
      ...Array.from({ length: scenario.workers }, (_, i) => machine("worker", i, workers)),
    ];
  }

  async start(): Promise<void> {
    const { partitions } = this.scenario;
    const specs = [...coreTopicSpecs(this.topics, partitions), ...appTopicSpecs(this.topics, APP, partitions)];
    await this.log.memory.ensureTopics(specs);
    for (const machine of this.machines) this.#boot(machine);
  }

  /** The core as the judge's replay uses it. */
  get replayCore(): Core {
    return this.#sabotage.core?.(core, { nowMs: () => this.scheduler.nowMs, incarnation: 0 }) ?? core;
  }

  get engines(): readonly EngineProcess[] {
    return this.machines.flatMap(({ member }) => (member instanceof EngineProcess ? [member] : []));
  }
  get workersIdle(): boolean {
    return this.machines.every(({ member }) => !(member instanceof SimWorker) || member.idle);
  }

  /** Disks as they are when all processes have stopped. */
  async lastSnapshots(): Promise<readonly Snapshot[]> {
    const found: Snapshot[] = [];
    for (const machine of this.machines) {
      machine.disk.files.crash();
      found.push(...(await snapshotsOf(machine, this.scenario.partitions)));
    }
    return found;
  }

  /** Trouble begins, and goes on until `calm`. */
  trouble(): void {
    this.#troubled = true;
    this.#fate.plan = this.scenario.faults;
    this.#nextTrouble();
  }

  /** Ends all trouble; what is paused or down comes back in its own time. */
  calm(): void {
    this.#troubled = false;
    this.#fate.calm();
    for (const { process } of this.machines) if (process !== null) process.weather.lagUntilMs = 0;
  }

  /** Sends as a user's process does: again with the same id until the log answers, or gives up. */
  async send(event: SimEvent): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      const process = this.#sender.alive ? this.#sender : this.#newSender();
      try {
        await this.#sendAs(process, event);
        return;
      } catch {
        this.facts.count("sends without an answer");
        await new SimClock(this.scheduler, this.driver).sleep(this.#rng.between(1, 3_000));
      }
    }
  }

  #sendAs(process: SimProcess, event: SimEvent): Promise<void> {
    const { topics, facts, scenario, watch } = this;
    const log = this.log.portOf(process);
    return sendEvent({ log, topics, facts, partitions: scenario.partitions, apps: () => watch.apps }, event);
  }

  #newSender(): SimProcess {
    this.#senders += 1;
    this.#sender = this.#process(`sender.${this.#senders}`);
    return this.#sender;
  }

  #process(name: string): SimProcess {
    const skewMs = this.#rng.between(-10_000, 10_000);
    return new SimProcess({ name, skewMs, rng: this.#rng.fork(), now: () => this.scheduler.nowMs });
  }

  #boot(machine: Machine): void {
    machine.incarnation += 1;
    const process = this.#process(`${machine.name}.${machine.incarnation}`);
    machine.process = process;
    machine.member = machine.kind === "engine" ? this.#engine(machine, process) : this.#worker(machine, process);
    machine.member.start();
  }

  #engine(machine: Machine, process: SimProcess): EngineProcess {
    const at = { nowMs: () => process.nowMs, incarnation: machine.incarnation };
    const ports: EnginePorts = {
      core: this.#sabotage.core?.(core, at) ?? core,
      log: this.log.portOf(process),
      stores: new SimStoreFactory(this.scheduler, process, machine.disk),
      clock: new SimClock(this.scheduler, process),
      logger: simLogger(process, this.scheduler.trace, () => this.scheduler.nowMs),
    };
    return new EngineProcess({
      process,
      ports: this.#sabotage.engine?.(ports) ?? ports,
      topics: this.topics,
      partitions: this.scenario.partitions,
      group: machine.group,
      options: this.scenario.options,
      onFailure: (partition, error) => this.#onFailure(process, partition, error),
    });
  }

  #onFailure(process: SimProcess, partition: number, error: Error): void {
    this.scheduler.trace.add(
      this.scheduler.nowMs,
      process.name,
      `task ${partition} failed: ${error.name}`,
      () => error.message,
    );
    this.facts.count(`task failed: ${error.name}`);
    if (error.name === "FencedError" || error.name === "TransientError") return;
    this.facts.failures.push(`${process.name}, partition ${partition}: ${error.name}: ${error.message}`);
  }

  #worker(machine: Machine, process: SimProcess): SimWorker {
    const habits = this.scenario.habits[machine.number];
    if (habits === undefined) throw new Error("each worker has its habits");
    return new SimWorker({
      ...{ process, scheduler: this.scheduler, topics: this.topics, app: APP, group: machine.group },
      ...{ scripts: this.scripts, facts: this.facts, habits, rng: this.#rng.fork() },
      log: this.log.portOf(process),
      clock: new SimClock(this.scheduler, process),
      askState: (partition, runId, invocation) => this.#askState(process, partition, { runId, invocation }),
      send: (event) => this.#sendAs(process, event),
      inboxEnd: (partition) => this.log.journal.end(this.topics.inbox, partition),
    });
  }

  /** Asks the process that the group names, or now and then one that only believes to be the owner. */
  async #askState(
    process: SimProcess,
    partition: number,
    { runId, invocation }: { runId: string; invocation: number },
  ): Promise<RunState | null | "unavailable"> {
    const holders = this.engines.filter((e) => e.process.alive && e.taskOf(partition) !== null);
    if (holders.length === 0) return "unavailable";
    const holder = this.#rng.pick(holders);
    const answer = await this.scheduler.suspend(process, {
      kind: "world",
      what: `state of ${runId.slice(0, 8)}#${invocation} from ${holder.process.name}`,
      delayMs: process.delayMs("ask"),
      // In a box, because the answer itself needs further operations.
      act: () => ({ promise: holder.runState(partition, runId, invocation) }),
    });
    const late = new SimClock(this.scheduler, process).sleep(5_000).then(() => "unavailable" as const);
    return Promise.race([answer.promise, late]);
  }

  #nextTrouble(): void {
    const { everyMs } = this.scenario.faults;
    const delayMs = Math.ceil(-Math.log(1 - this.#rng.float()) * everyMs);
    this.scheduler.at(delayMs, "trouble", () => {
      if (!this.#troubled) return;
      this.#makeTrouble();
      this.#nextTrouble();
    });
  }

  #makeTrouble(): void {
    const { pause, kill, lag, move, jump, aim } = this.scenario.faults;
    if (pause + kill + lag + move + jump + aim === 0) return;
    const kind = this.#rng.weighted([
      [pause, "pause"],
      [kill, "kill"],
      [lag, "lag"],
      [move, "move"],
      [jump, "jump"],
      [aim, "aim"],
    ] as const);
    this.facts.count(kind);
    const machine = this.#rng.pick(this.machines);
    const partition = this.#rng.between(0, this.scenario.partitions - 1);
    const { process, member } = machine;
    switch (kind) {
      case "move":
        return machine.group.moveAway(partition);
      case "jump":
        return this.log.jumpClock(this.topics.inbox, partition);
      case "aim":
        return this.#fate.aim(this.#rng.chance(0.5) ? process : null);
      case "kill":
        if (process?.alive === true) this.scheduler.crash(process, "killed");
        return;
      case "lag":
        if (process === null) return;
        process.weather.lagUntilMs = this.scheduler.nowMs + this.#rng.between(5_000, 60_000);
        process.weather.lagMs = this.#rng.between(1_000, 90_000);
        return;
      case "pause":
        if (process?.alive === true && member !== null) this.#pause(machine, process, member);
    }
  }

  /** Longer than its session: its group goes on without it, and it comes back as a zombie. */
  #pause({ group }: Machine, process: SimProcess, member: Member): void {
    const ms = this.#rng.weighted([
      [1, this.#rng.between(200, SESSION_MS)],
      [2, this.#rng.between(SESSION_MS, 150_000)],
    ]);
    process.pausedUntilMs = Math.max(process.pausedUntilMs, this.scheduler.nowMs + ms);
    this.scheduler.trace.add(this.scheduler.nowMs, process.name, `paused for ${ms}`);
    if (ms <= SESSION_MS) return;
    this.scheduler.at(SESSION_MS, "session over", () => {
      if (process.alive) group.leave(member);
    });
    this.scheduler.at(ms + this.#rng.between(0, 20_000), "back in the group", () => {
      if (process.alive && !group.members.includes(member)) group.join(member);
    });
  }

  #onCrash(process: SimProcess): void {
    const found = this.machines.find((m) => m.process === process);
    if (found === undefined) return;
    this.facts.count(`${found.kind} crashes`);
    const { member, group } = found;
    const wipe = this.#rng.chance(this.scenario.faults.wipe);
    if (wipe && found.kind === "engine") this.facts.count("wipes");
    found.disk.crash(this.#rng, wipe);
    found.process = null;
    const leave = (): void => {
      if (member !== null) group.leave(member);
    };
    this.scheduler.at(SESSION_MS, "session over", leave);
    this.scheduler.at(this.#rng.between(200, 30_000), "restart", async () => {
      this.snapshots.push(...(await snapshotsOf(found, this.scenario.partitions)));
      leave();
      this.#boot(found);
    });
  }
}

async function snapshotsOf({ kind, name, disk }: Machine, partitions: number): Promise<Snapshot[]> {
  const found: Snapshot[] = [];
  for (let partition = 0; kind === "engine" && partition < partitions; partition++) {
    const store = await disk.files.open(`state-${partition}`);
    const entries = await store.scan({ from: "", to: "\uffff", limit: 1_000_000 });
    found.push({ machine: name, partition, entries: new Map(entries) });
    await store.close();
  }
  return found;
}

function machine(kind: Machine["kind"], number: number, group: Group): Machine {
  const name = `${kind}${number}`;
  return { name, kind, number, group, disk: new SimDisk(), incarnation: 0, process: null, member: null };
}

export const NO_SABOTAGE: Sabotage = {};
export const NO_FAULTS = CALM;
