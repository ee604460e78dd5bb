import { type Appended, type Log, type NewRecord } from "@eddy/clients";
import { MemoryLog } from "../adapters/memory/index.js";

/**
 * A log in memory that can be asked without waiting how far its first partitions are. The end of a topic is known before
 * whoever appended is told: so nothing can be in the log, done for its sender, and not seen here.
 */
export class WatchedLog extends MemoryLog implements Log {
  readonly #ends = new Map<string, number>();
  #appends = 0;

  /** Appends so far, to all topics. */
  get appends(): number {
    return this.#appends;
  }

  /** The offset that the next record of partition 0 gets. */
  endOf(topic: string): number {
    return this.#ends.get(topic) ?? 0;
  }

  override async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const appended = await super.append(topic, partition, records);
    this.#appends += 1;
    if (partition === 0) this.#ends.set(topic, appended.baseOffset + records.length);
    return appended;
  }
}
