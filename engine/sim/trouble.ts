/** Makes trouble at moments that the seed chooses. Everything heals by itself: a machine comes back, a pause ends. */
import type { Facts } from "./actors/facts.js";
import { SESSION_MS } from "./actors/group.js";
import type { SeededFate, TroubleKind } from "./faults.js";
import type { Machine } from "./machine.js";
import type { SharedLog } from "./ports/sim-log.js";
import type { Prng } from "./prng.js";
import type { Scenario } from "./scenario.js";
import type { Scheduler } from "./scheduler.js";

export interface Stage {
  readonly scenario: Scenario;
  readonly scheduler: Scheduler;
  readonly log: SharedLog;
  readonly facts: Facts;
  readonly machines: readonly Machine[];
  readonly fate: SeededFate;
  /** Stops the process of a machine in good order and starts another. */
  restart(machine: Machine): void;
}

export class Trouble {
  readonly #stage: Stage;
  readonly #rng: Prng;
  #on = false;

  constructor(stage: Stage, rng: Prng) {
    this.#stage = stage;
    this.#rng = rng;
  }

  begin(): void {
    this.#on = true;
    this.#stage.fate.plan = this.#stage.scenario.faults;
    if (this.#stage.scenario.faults.troubles.length > 0) this.#next();
  }

  end(): void {
    this.#on = false;
    this.#stage.fate.calm();
    for (const { process } of this.#stage.machines) {
      if (process === null) continue;
      process.weather.lagUntilMs = 0;
      process.weather.slowWritesUntilMs = 0;
    }
  }

  #next(): void {
    const { scenario, scheduler } = this.#stage;
    const delayMs = Math.ceil(-Math.log(1 - this.#rng.float()) * scenario.faults.everyMs);
    scheduler.at(delayMs, "trouble", () => {
      if (!this.#on) return;
      this.#make(this.#rng.weighted(scenario.faults.troubles));
      this.#next();
    });
  }

  #make(kind: TroubleKind): void {
    const { facts, machines, log, scenario, fate, scheduler } = this.#stage;
    const machine = this.#rng.pick(machines);
    const partition = this.#rng.between(0, scenario.partitions - 1);
    const { process } = machine;
    facts.count(kind);
    switch (kind) {
      case "move":
        return machine.group.moveAway(partition);
      case "broker clock":
        return log.jumpClock();
      case "compaction":
        return log.memory.clean();
      case "aimed crash":
        return fate.aim(this.#rng.chance(0.5) ? process : null);
      case "restart":
        return this.#stage.restart(machine);
      case "kill":
        if (process !== null) scheduler.crash(process, "killed");
        return;
      case "process clock":
        // Workers measure their leases with a clock that nobody sets.
        if (machine.kind === "engine" && process !== null) process.skewMs = this.#rng.between(-10_000, 10_000);
        return;
      case "lag":
        if (process === null) return;
        process.weather.lagUntilMs = scheduler.nowMs + this.#rng.between(5_000, 60_000);
        process.weather.lagMs = this.#rng.between(1_000, 90_000);
        return;
      case "slow writes":
        if (process === null) return;
        process.weather.slowWritesUntilMs = scheduler.nowMs + this.#rng.between(5_000, 60_000);
        process.weather.slowWritesMsMax = this.#rng.between(500, 40_000);
        return;
      case "pause":
        return this.#pause(machine);
    }
  }

  /** Longer than its session: its group goes on without it, and it comes back as a zombie. */
  #pause({ group, process, member }: Machine): void {
    if (process?.alive !== true || member === null) return;
    const { scheduler } = this.#stage;
    const ms = this.#rng.weighted([
      [1, this.#rng.between(200, SESSION_MS)],
      [2, this.#rng.between(SESSION_MS, 150_000)],
    ]);
    process.pausedUntilMs = Math.max(process.pausedUntilMs, scheduler.nowMs + ms);
    scheduler.trace.add(scheduler.nowMs, process.name, `paused for ${ms}`);
    if (ms <= SESSION_MS) return;
    scheduler.at(SESSION_MS, "session over", () => {
      if (process.alive) group.leave(member);
    });
    scheduler.at(ms + this.#rng.between(0, 20_000), "back in the group", () => {
      if (process.alive && !group.members.includes(member)) group.join(member);
    });
  }
}
