/**
 * Heartbeats of one app's workers, gathered into one inbox record per partition and period. A worker hears
 * `heartbeatAck` once every partition that it has runs on has the record: from then its lease counts.
 */
import { encodeInbox, partitionOfShard, shardOfRun, type InboxRecordOf } from "@eddy/schemas";
import type { Clock } from "../ports/clock.js";
import type { Logger } from "../ports/logger.js";
import type { InboxLanes } from "../send/inbox-lanes.js";
import type { WorkerLink } from "./worker-link.js";

type Running = InboxRecordOf<"heartbeat">["running"];

/** How long heartbeats are gathered, in ms: far below the lease. */
export const HEARTBEAT_GATHER_MS = 1_000;

export class HeartbeatLedger {
  readonly #app: string;
  readonly #lanes: InboxLanes;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  /** By partition, then run id: the invocation that runs. */
  #gathered = new Map<number, Map<string, number>>();
  #links: WorkerLink[] = [];
  #flushing: Promise<void> | null = null;

  constructor(deps: { app: string; lanes: InboxLanes; clock: Clock; logger: Logger }) {
    this.#app = deps.app;
    this.#lanes = deps.lanes;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
  }

  /** Run ids must be well-formed. A worker that runs nothing is acknowledged at once. */
  add(link: WorkerLink, running: Running): void {
    if (running.length === 0) return link.send({ kind: "heartbeatAck" });
    for (const { runId, invocation } of running) {
      const partition = partitionOfShard(shardOfRun(runId), this.#lanes.partitions);
      const runs = this.#gathered.get(partition) ?? new Map<string, number>();
      runs.set(runId, Math.max(invocation, runs.get(runId) ?? 0));
      this.#gathered.set(partition, runs);
    }
    this.#links.push(link);
    this.#flushing ??= this.#flushLater();
  }

  /** Writes what is gathered and resolves. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#flushing;
  }

  async #flushLater(): Promise<void> {
    await this.#clock.sleep(HEARTBEAT_GATHER_MS, this.#stopping.signal);
    const gathered = this.#gathered;
    const links = this.#links;
    this.#gathered = new Map();
    this.#links = [];
    this.#flushing = null;
    try {
      await Promise.all([...gathered].map(([partition, runs]) => this.#append(partition, runs)));
      for (const link of links) link.send({ kind: "heartbeatAck" });
    } catch (err) {
      // No acknowledgement: the workers stop to go on inline before their leases end.
      this.#logger.warn({ err, app: this.#app }, "heartbeats could not be written");
    }
  }

  #append(partition: number, runs: ReadonlyMap<string, number>): Promise<void> {
    const running = [...runs].map(([runId, invocation]) => ({ runId, invocation }));
    const value = encodeInbox({ kind: "heartbeat", app: this.#app, running });
    return this.#lanes.append(partition, [{ key: this.#app, value }]);
  }
}
