/** Everything that any process ever got into the log, by topic and partition, as it was appended: the judge's evidence. */
import type { LogRecord, NewRecord } from "@eddy/clients";
import { offset } from "@eddy/schemas";

/** One commit of the changelog: its records are those before `end`. */
export interface Commit {
  readonly process: string;
  readonly start: number;
  readonly end: number;
}

export type Listener = (topic: string, partition: number, records: readonly LogRecord[]) => void;

export class Journal {
  readonly #records = new Map<string, LogRecord[]>();
  readonly #commits = new Map<string, Commit[]>();
  readonly #listeners: Listener[] = [];

  listen(listener: Listener): void {
    this.#listeners.push(listener);
  }

  note(topic: string, partition: number, base: number, appendTimeMs: number, records: readonly NewRecord[]): void {
    const at = `${topic}/${partition}`;
    const known = this.#records.get(at) ?? [];
    this.#records.set(at, known);
    const noted = records.map((record, i) => ({ ...record, offset: offset(base + i), appendTimeMs }));
    known.push(...noted);
    for (const listener of this.#listeners) listener(topic, partition, noted);
  }

  noteCommit(topic: string, partition: number, commit: Commit): void {
    const at = `${topic}/${partition}`;
    const known = this.#commits.get(at) ?? [];
    this.#commits.set(at, known);
    known.push(commit);
  }

  records(topic: string, partition: number): readonly LogRecord[] {
    return this.#records.get(`${topic}/${partition}`) ?? [];
  }
  commits(topic: string, partition: number): readonly Commit[] {
    return this.#commits.get(`${topic}/${partition}`) ?? [];
  }
  end(topic: string, partition: number): number {
    return (this.records(topic, partition).at(-1)?.offset ?? -1) + 1;
  }
}
