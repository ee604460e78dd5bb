/**
 * A simulated cluster: machines with engine processes, machines with workers, one log. It starts and restarts processes,
 * makes the trouble that the seed asks for, and lets calm return.
 */
import { appTopicSpecs, coreTopicSpecs, topicsOf, type Topics } from "@eddy/clients";
import { core } from "../src/core/core.js";
import type { Core } from "../src/core/index.js";
import type { RunState } from "@eddy/schemas";
import { EngineProcess, type EnginePorts } from "./actors/engine-process.js";
import { Facts } from "./actors/facts.js";
import { Group, SESSION_MS } from "./actors/group.js";
import { sendEvent, type SimEvent } from "./actors/send.js";
import { SimWorker } from "./actors/worker.js";
import { SeededFate } from "./faults.js";
import { LogWatch } from "./log-watch.js";
import { machineOf, type Machine } from "./machine.js";
import { simLogger } from "./ports/sim-logger.js";
import { SimClock } from "./ports/sim-clock.js";
import { SharedLog } from "./ports/sim-log.js";
import { SimStoreFactory } from "./ports/sim-store.js";
import { SimProcess } from "./process.js";
import type { Prng } from "./prng.js";
import type { Snapshot } from "./judge/state.js";
import type { Scenario } from "./scenario.js";
import { Scheduler } from "./scheduler.js";
import type { Script } from "./script/script.js";
import type { Trace } from "./trace.js";
import { Trouble } from "./trouble.js";

/** Something wrong that is put into every engine process from outside, to see whether the judge notices. */
export interface Sabotage {
  /** Of one process. The judge replays with it as well: as incarnation 0, at the end of time. */
  readonly core?: (core: Core, at: { readonly nowMs: () => number; readonly incarnation: number }) => Core;
  readonly engine?: (ports: EnginePorts) => EnginePorts;
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
  readonly #sabotage: Sabotage;
  readonly #immune = new Set<SimProcess>();
  readonly driver: SimProcess;
  /** Disks as they were found after crashes. */
  readonly snapshots: Snapshot[] = [];
  #sender: SimProcess;
  #senders = 0;
  #logicVersion = core.logicVersion;
  /** Of each app's code: what workers that start now run. */
  readonly #versions = new Map<string, number>();
  readonly trouble: Trouble;

  constructor(scenario: Scenario, rng: Prng, trace: Trace, sabotage: Sabotage) {
    this.scenario = scenario;
    this.#rng = rng;
    this.#sabotage = sabotage;
    this.scheduler = new Scheduler(rng.fork(), trace);
    this.log = new SharedLog(this.scheduler, rng.fork());
    this.watch = new LogWatch(this.log.journal, this.topics, scenario.partitions, () => this.scheduler.nowMs);
    for (const [p, ms] of scenario.skewsMs.entries()) this.log.setSkew(this.topics.inbox, p, ms);
    this.log.describe = (topic, records) => this.watch.describe(topic, records);
    const fate = new SeededFate(rng.fork(), this.#immune, (process) => this.#onCrash(process));
    this.scheduler.fate = fate;
    this.scripts = new Map(scenario.scripts.map((s) => [`${s.app}/${s.config.id}`, s]));
    this.driver = this.#process("driver");
    this.#immune.add(this.driver);
    this.#sender = this.#process("sender");
    const engines = new Group(this.scheduler, rng.fork(), scenario.partitions);
    const machines = Array.from({ length: scenario.engines }, (_, i) => machineOf("engine", i, "", engines));
    for (const app of scenario.apps) {
      const group = new Group(this.scheduler, rng.fork(), scenario.partitions);
      const first = machines.length - scenario.engines;
      for (let i = 0; i < scenario.workers; i++) machines.push(machineOf("worker", first + i, app, group));
    }
    this.machines = machines;
    const restart = (machine: Machine): void => this.#restart(machine);
    this.trouble = new Trouble(
      {
        scenario,
        machines,
        restart,
        fate,
        scheduler: this.scheduler,
        log: this.log,
        facts: this.facts,
      },
      rng.fork(),
    );
  }

  async start(): Promise<void> {
    const { partitions, apps } = this.scenario;
    const appSpecs = apps.flatMap((app) => appTopicSpecs(this.topics, app, partitions));
    await this.log.memory.ensureTopics([...coreTopicSpecs(this.topics, partitions), ...appSpecs]);
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

  /** From now on each new engine process is of the next logic version; the old ones end one after the other. */
  upgrade(): void {
    if (this.#logicVersion > core.logicVersion) return;
    this.#logicVersion += 1;
    this.facts.count("upgrades");
    for (const machine of this.machines.filter(({ kind }) => kind === "engine")) {
      const { process } = machine;
      if (process === null) continue;
      const orderly = this.#rng.chance(0.5);
      this.scheduler.at(this.#rng.between(0, 60_000), "upgrade", () => {
        if (orderly && machine.process === process) this.#restart(machine);
        else this.scheduler.crash(process, "upgraded");
      });
    }
  }

  /** From now on each new worker of the app runs its next code; the old ones end one after the other, or stay. */
  deploy(app: string): void {
    this.#versions.set(app, (this.#versions.get(app) ?? 0) + 1);
    this.facts.count("deploys");
    for (const machine of this.machines.filter((m) => m.app === app)) {
      const { process } = machine;
      if (process === null || this.#rng.chance(0.15)) continue;
      this.scheduler.at(this.#rng.between(0, 40_000), "deploy", () => {
        if (machine.process === process) this.#restart(machine);
      });
    }
  }

  /** Sends as a user's process does: again with the same id until the log answers, or gives up. */
  async send(event: SimEvent): Promise<void> {
    const { repeats } = this.scenario.senders;
    for (let tries = 0; tries < 20; tries++) {
      const process = this.#sender.alive ? this.#sender : this.#newSender();
      try {
        await this.#sendOnce(process, event);
        if (!this.#rng.chance(repeats)) return;
        this.facts.count("sends repeated");
      } catch {
        this.facts.count("sends without an answer");
      }
      await new SimClock(this.scheduler, this.driver).sleep(this.#rng.between(1, 3_000));
    }
  }

  /** @throws where another process of the user's is to send it again. */
  #sendOnce(process: SimProcess, event: SimEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      const crash = (): void => {
        this.scheduler.crash(process, "between the copies of an event");
        if (this.#rng.chance(0.5)) reject(new Error("the process that sent it is gone"));
      };
      this.#sendAs(process, event, crash).then(resolve, reject);
    });
  }

  #sendAs(process: SimProcess, event: SimEvent, crash: () => void = () => undefined): Promise<void> {
    const { topics, facts, scenario, watch } = this;
    const log = this.log.portOf(process);
    const { partitions, senders } = scenario;
    return sendEvent(
      {
        ...{ log, topics, facts, partitions, crash, habits: senders, rng: this.#rng, registry: watch.registry },
        nowMs: () => this.scheduler.nowMs,
      },
      event,
    );
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
    const logicVersion = this.#logicVersion;
    const ports: EnginePorts = {
      core: { ...(this.#sabotage.core?.(core, at) ?? core), logicVersion },
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
      inboxEnd: (partition) => this.log.journal.end(this.topics.inbox, partition),
      onAnswer: (answer) => this.facts.answers.push(answer),
      onFailure: (partition, error) => {
        const isOutdated = logicVersion < this.#logicVersion && error.name === "ConfigError";
        this.#onFailure(`${process.name}, partition ${partition}`, error, isOutdated);
      },
    });
  }

  /** @param isOutdated it met a state of the next version, as it may during an upgrade. */
  #onFailure(who: string, error: Error, isOutdated: boolean): void {
    this.scheduler.trace.add(this.scheduler.nowMs, who, `failed: ${error.name}`, () => error.message);
    this.facts.count(`task failed: ${error.name}`);
    if (isOutdated || error.name === "FencedError" || error.name === "TransientError") return;
    this.facts.failures.push(`${who}: ${error.name}: ${error.message}`);
  }

  #worker(machine: Machine, process: SimProcess): SimWorker {
    const habits = this.scenario.habits[machine.number];
    if (habits === undefined) throw new Error("each worker has its habits");
    return new SimWorker({
      ...{ process, scheduler: this.scheduler, topics: this.topics, app: machine.app, group: machine.group },
      ...{ scripts: this.scripts, facts: this.facts, habits, rng: this.#rng.fork() },
      version: this.#versions.get(machine.app) ?? 0,
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

  /** In good order: tasks checkpoint and close, the group goes on without it, then another process starts. */
  #restart(machine: Machine): void {
    const { member, process, group } = machine;
    if (member === null || process?.alive !== true) return;
    group.leave(member);
    if (member instanceof SimWorker) {
      this.scheduler.at(this.#rng.between(0, 40_000), "end of a worker", () =>
        this.scheduler.crash(process, "drained"),
      );
      return;
    }
    void member.stop().then(() => this.scheduler.crash(process, "stopped"));
  }

  #onCrash(process: SimProcess): void {
    const found = this.machines.find((m) => m.process === process);
    if (found === undefined) return;
    this.facts.count(`${found.kind} crashes`);
    const { member, group } = found;
    const wipe = this.#rng.chance(this.scenario.faults.wipe);
    const damage = this.#rng.chance(this.scenario.faults.wipe / 2);
    if (found.kind === "engine" && (wipe || damage)) this.facts.count(wipe ? "wipes" : "damaged disks");
    found.disk.crash(this.#rng, { wipe, damage });
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

export const NO_SABOTAGE: Sabotage = {};
