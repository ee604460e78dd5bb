/**
 * Several partitions of the pure core, in memory: senders write copies, effects to other inboxes are delivered when the
 * test says so, in the order of each pair of partitions. A worker is played by the test.
 */
import {
  appConfig,
  LIMITS,
  matchValuesOf,
  partitionOf,
  partitionsOf,
  Routes,
  shardOfRun,
  type FunctionConfig,
  type HistoryEntry,
  type InboxRecord,
  type RegisteredApp,
  type StepOp,
  type StepReport,
  type StepRequest,
} from "@eddy/schemas";
import { APP, json, Scenario } from "./scenario.js";

interface Posted {
  readonly from: number;
  readonly to: number;
  readonly record: InboxRecord;
}

export class Cluster {
  readonly partitions: readonly Scenario[];
  readonly apps = new Map<string, RegisteredApp>();
  readonly #applied: number[];
  readonly #taken: number[];
  /** Records on their way, in the order of their effects. */
  #posted: Posted[] = [];
  #eventNo = 0;

  constructor(readonly count = 4) {
    this.partitions = Array.from(
      { length: count },
      (_, partition) => new Scenario([], { partition, partitions: count }),
    );
    this.#applied = this.partitions.map(() => 0);
    this.#taken = this.partitions.map(() => 0);
  }

  at(partition: number): Scenario {
    const found = this.partitions[partition];
    if (found === undefined) throw new Error(`no partition ${partition}`);
    return found;
  }

  /** Registers at inbox 0; in force when delivered. */
  register(functions: readonly FunctionConfig[], settleMs = 0): void {
    this.apply(0, { kind: "register", config: appConfig.parse({ app: APP, functions }), settleMs });
  }

  apply(partition: number, record: InboxRecord, afterMs = 1): void {
    this.at(partition).apply(record, afterMs);
    this.#collect();
  }

  /** All partitions see a tick, `ms` later. */
  pass(ms: number): void {
    for (const { at } of this.partitions) this.apply(at.partition, { kind: "tick" }, ms);
  }

  /** Delivers what is on its way, and what that causes; `only` holds back the rest. */
  deliver(only: (posted: Posted) => boolean = () => true): void {
    for (;;) {
      const next = this.#posted.find(only);
      if (next === undefined) return;
      this.#posted = this.#posted.filter((posted) => posted !== next);
      this.apply(next.to, next.record, 0);
    }
  }
  get posted(): readonly Posted[] {
    return this.#posted;
  }

  /** The copies of an event as a sender with this view writes them: home first. */
  copies(
    name: string,
    data: Record<string, unknown>,
    more: { id?: string; ts?: number; stale?: boolean } = {},
  ): ReadonlyMap<number, InboxRecord> {
    const id = more.id ?? `e${++this.#eventNo}`;
    const body = { id, name, ts: more.ts ?? 0, data };
    const stale = more.stale === true;
    const route = new Routes(stale ? [] : [...this.apps.values()]).of(name);
    const values = matchValuesOf(body, route);
    const to = partitionsOf(values, route, this.count);
    const record = {
      kind: "event" as const,
      id,
      idFrom: more.id === undefined ? ("generated" as const) : ("user" as const),
      name,
      tsMs: body.ts,
      values: values.map(([path, value]): [string, string] => [path, value]),
      payload: json(body),
      version: stale ? 0 : Math.min(...this.#applied),
      home: to[0] ?? 0,
      origin: null,
    };
    return new Map(to.map((partition) => [partition, record]));
  }
  send(name: string, data: Record<string, unknown>, more: Parameters<Cluster["copies"]>[2] = {}): string {
    const copies = this.copies(name, data, more);
    for (const [partition, record] of copies) this.apply(partition, record);
    const [first] = copies.values();
    return first?.kind === "event" ? first.id : "";
  }

  get history(): HistoryEntry[] {
    return this.partitions.flatMap((partition) => partition.history);
  }
  of<K extends HistoryEntry["kind"]>(kind: K): Extract<HistoryEntry, { kind: K }>[] {
    return this.partitions.flatMap((partition) => partition.historyOf(kind));
  }
  /** The last request of any run. */
  request(): StepRequest {
    const found = this.partitions.flatMap((partition) => partition.requests).at(-1);
    if (found === undefined) throw new Error("no request was made");
    return found;
  }
  lastRequestOf(runId: string): StepRequest {
    const found = this.partitions.flatMap((p) => p.requests).findLast((r) => r.runId === runId);
    if (found === undefined) throw new Error("no request was made");
    return found;
  }
  report(request: StepRequest, ops: StepOp[], outcome: StepReport["outcome"] = { kind: "suspended" }): void {
    const { runId, invocation } = request;
    this.apply(shardOfRun(runId) % this.count, { kind: "report", report: { runId, invocation, ops, outcome } });
  }

  /** Rows that a run leaves behind, over all partitions. */
  leftovers(): string[] {
    return this.partitions.flatMap(({ at, world }) =>
      [...world.rows.keys()].filter((key) => /^[rsgeo]/.test(key)).map((key) => `${at.partition}: ${key}`),
    );
  }

  #collect(): void {
    for (const [partition, { effects }] of this.partitions.entries()) {
      const from = this.#taken[partition] ?? 0;
      for (const effect of effects.slice(from)) {
        if (effect.kind === "AppendInbox") {
          this.#posted.push({ from: partition, to: effect.partition, record: effect.record });
        } else if (effect.kind === "PublishRegistry") {
          if (effect.entry.kind === "app") this.apps.set(effect.entry.config.app, effect.entry.config);
          if (effect.entry.kind === "applied") this.#applied[partition] = effect.entry.version;
        }
      }
      this.#taken[partition] = effects.length;
    }
  }
}

/** A text whose match value lies on this partition. */
export function keyOn(partition: number, partitions: number, prefix = "k"): string {
  for (let i = 0; i < LIMITS.partitionsMax; i++) {
    const key = `${prefix}${i}`;
    if (partitionOf(`s:${key}`, partitions) === partition) return key;
  }
  throw new Error("no key found");
}
