/** What a worker of one app hears from its engine, read straight from the log: requests and aborts, in order. */
import {
  compareCauses,
  decodeSignal,
  decodeStepsRecord,
  offset,
  type AppConfig,
  type Cause,
  type Offset,
  type StepRequest,
} from "@eddy/schemas";
import { invariant, LogTail, takeRecord, type Gathered, type LogRecord } from "@eddy/clients";
import type { LogTailOptions, Topics } from "@eddy/clients";

/** The worker's side. No call throws. */
export interface AppHandlers {
  onRequest(request: StepRequest): void;
  /** The run was cancelled. */
  onAbort(runId: string): void;
}

export interface AppFeedDeps extends Pick<LogTailOptions, "log" | "clock" | "logger"> {
  readonly topics: Topics;
  /** The offset that the next record of a topic gets. */
  readonly endOf: (topic: string) => number;
}

const RECORDS_MAX = 500;

export class AppFeed {
  readonly #deps: AppFeedDeps;
  readonly #handlers: AppHandlers;
  readonly #steps: LogTail;
  readonly #signals: LogTail;
  readonly #topics: { readonly steps: string; readonly signals: string };
  /** By run id: the cause of its newest abort. A request from before it is not handed over any more (G3). */
  readonly #aborted = new Map<string, Cause>();
  #gathered: Gathered | null = null;

  constructor({ app }: Pick<AppConfig, "app">, deps: AppFeedDeps, handlers: AppHandlers) {
    this.#deps = deps;
    this.#handlers = handlers;
    this.#topics = { steps: deps.topics.steps(app), signals: deps.topics.signals(app) };
    this.#steps = this.#tail(this.#topics.steps, (value, at) => this.#onRequest(value, at));
    this.#signals = this.#tail(this.#topics.signals, (value) => this.#onSignal(value));
  }

  start(): void {
    this.#signals.start();
    this.#steps.start();
  }

  /** Has everything that the log holds been handed over? */
  get isDone(): boolean {
    const { endOf } = this.#deps;
    const { steps, signals } = this.#topics;
    return this.#steps.nextOffset >= endOf(steps) && this.#signals.nextOffset >= endOf(signals);
  }

  /** Why nothing is handed over any more; null while it is. */
  get failure(): Error | null {
    return this.#steps.failure ?? this.#signals.failure;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#steps.stop(), this.#signals.stop()]);
  }

  #tail(topic: string, take: (value: Uint8Array, at: Offset) => void): LogTail {
    const onRecords = (records: readonly LogRecord[]): void => {
      for (const { value, offset: at } of records) if (value !== null) take(value, at);
    };
    return new LogTail({ ...this.#deps, topic, partition: 0, from: offset(0), recordsMax: RECORDS_MAX, onRecords });
  }

  #onRequest(value: Uint8Array, at: Offset): void {
    const taken = takeRecord(decodeStepsRecord(value), at, { mark: null, gathered: this.#gathered });
    invariant(taken.kind !== "torn", "a log in memory keeps all parts of a request", { at });
    if (taken.kind === "repeat") return;
    this.#gathered = taken.kind === "part" ? taken.gathered : null;
    if (taken.kind !== "request") return;
    const { request, cause } = taken;
    const abortedBy = this.#aborted.get(request.runId);
    if (abortedBy === undefined || compareCauses(cause, abortedBy) > 0) this.#handlers.onRequest(request);
  }

  #onSignal(value: Uint8Array): void {
    const { cause, body } = decodeSignal(value);
    this.#aborted.set(body.runId, cause);
    this.#handlers.onAbort(body.runId);
  }
}
