/** Work that goes on while brokers fall over, and what must be true of it afterwards. */
import { offset } from "@eddy/schemas";
import { TransientError } from "../../src/errors/codes.js";
import type { Log, LogRecord, TopicSpec } from "../../src/ports/log.js";
import { readAll, record, valueOf } from "../../../engine/test/contracts/log-world.js";

/** Numbers its records, and repeats one whose outcome is unknown, as senders do. */
export class Sender {
  /** Numbers acknowledged, in order. */
  readonly acknowledged: number[] = [];
  /** Numbers that were tried more than once: they may be there more than once. */
  readonly repeated = new Set<number>();
  readonly #name: string;
  readonly #append: (key: string, value: string) => Promise<unknown>;

  constructor(name: string, append: (key: string, value: string) => Promise<unknown>) {
    this.#name = name;
    this.#append = append;
  }

  async run(isDone: () => boolean): Promise<void> {
    for (let no = 0; !isDone(); no += 1) {
      while (!(await this.#try(no))) this.repeated.add(no);
      this.acknowledged.push(no);
    }
  }

  async #try(no: number): Promise<boolean> {
    try {
      await this.#append(this.#name, String(no));
      return true;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      return false;
    }
  }

  /** @returns what is wrong with what the log has of this sender; empty: nothing. */
  problems(found: readonly LogRecord[]): readonly string[] {
    const counts = new Map<number, number>();
    const problems: string[] = [];
    let last = -1;
    for (const each of found) {
      if (each.key !== this.#name) continue;
      const no = Number(valueOf(each));
      const times = (counts.get(no) ?? 0) + 1;
      counts.set(no, times);
      if (times > 1 && !this.repeated.has(no)) problems.push(`${this.#name} ${no} is there ${times} times`);
      if (times === 1 && no !== last + 1) problems.push(`${this.#name} ${no} comes after ${last}`);
      last = Math.max(last, no);
    }
    const lost = this.acknowledged.filter((no) => !counts.has(no));
    return [...problems, ...lost.map((no) => `${this.#name} ${no} was acknowledged and is lost`)];
  }
}

/** Commits numbered checkpoints, with a new writer after each that failed. */
export class Committer {
  readonly acknowledged: number[] = [];
  readonly #log: Log;
  readonly #spec: TopicSpec;
  readonly #partition: number;

  constructor(log: Log, spec: TopicSpec, partition: number) {
    this.#log = log;
    this.#spec = spec;
    this.#partition = partition;
  }

  async run(isDone: () => boolean): Promise<void> {
    let writer = await this.#open(isDone);
    for (let no = 0; !isDone() && writer !== null; no += 1) {
      try {
        await writer.commit([record(`row${no % 5}`, String(no)), record("meta", String(no))]);
        this.acknowledged.push(no);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        writer = await this.#open(isDone);
      }
    }
  }

  async #open(isDone: () => boolean) {
    while (!isDone()) {
      try {
        return await this.#log.openChangelogWriter(this.#spec.name, this.#partition);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
      }
    }
    return null;
  }

  async problems(): Promise<readonly string[]> {
    const found = await readAll(this.#log, this.#spec, this.#partition);
    const metas = found.filter(({ key }) => key === "meta").map((r) => Number(valueOf(r)));
    const rows = found.filter(({ key }) => key !== "meta").map((r) => Number(valueOf(r)));
    const problems: string[] = [];
    if (metas.join() !== rows.join()) problems.push(`rows ${rows.join()} but meta ${metas.join()}`);
    if (metas.some((no, i) => i > 0 && no <= (metas[i - 1] ?? -1))) problems.push(`out of order: ${metas.join()}`);
    const stored = new Set(metas);
    for (const no of this.acknowledged) if (!stored.has(no)) problems.push(`commit ${no} is lost`);
    return problems;
  }
}

/** Reads a partition from its start for as long as it is told to. */
export async function follow(log: Log, topic: string, partition: number, isDone: () => boolean): Promise<LogRecord[]> {
  const reader = log.reader(topic, partition, offset(0));
  const seen: LogRecord[] = [];
  while (!isDone()) {
    try {
      seen.push(...(await reader.read({ recordsMax: 500, waitMs: 500 })));
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
    }
  }
  await reader.close();
  return seen;
}
