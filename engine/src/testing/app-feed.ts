/** What a worker of one app hears from its engine, read straight from the log: requests and aborts, in order. */
import {
  compareCauses,
  decodeSignal,
  decodeStepRequest,
  offset,
  type AppConfig,
  type Cause,
  type StepRequest,
} from "@eddy/schemas";
import { LogTail, type LogRecord, type LogTailOptions, type Topics } from "@eddy/clients";

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

  constructor({ app }: Pick<AppConfig, "app">, deps: AppFeedDeps, handlers: AppHandlers) {
    this.#deps = deps;
    this.#handlers = handlers;
    this.#topics = { steps: deps.topics.steps(app), signals: deps.topics.signals(app) };
    this.#steps = this.#tail(this.#topics.steps, (value) => this.#onRequest(value));
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

  #tail(topic: string, take: (value: Uint8Array) => void): LogTail {
    const onRecords = (records: readonly LogRecord[]): void => {
      for (const { value } of records) if (value !== null) take(value);
    };
    return new LogTail({ ...this.#deps, topic, partition: 0, from: offset(0), recordsMax: RECORDS_MAX, onRecords });
  }

  #onRequest(value: Uint8Array): void {
    const { cause, body } = decodeStepRequest(value);
    const abortedBy = this.#aborted.get(body.runId);
    if (abortedBy === undefined || compareCauses(cause, abortedBy) > 0) this.#handlers.onRequest(body);
  }

  #onSignal(value: Uint8Array): void {
    const { cause, body } = decodeSignal(value);
    this.#aborted.set(body.runId, cause);
    this.#handlers.onAbort(body.runId);
  }
}
