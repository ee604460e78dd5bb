/**
 * An engine for tests of user code: the core, the partition task, senders and the history as everywhere, over a log in
 * memory with one partition, in one process, without a gateway. Its time stands still until it is moved.
 *
 * Invariant: where `isQuiet` is true, nothing more happens until time moves, or somebody sends or reports. It is a fact
 * of one moment, found without waiting: all that is in the inbox is decided, all that followed from it is in the log,
 * all requests in the log were handed over. What is being done with them is for their worker to say.
 */
import {
  baseOfRun,
  encodeInbox,
  type AppConfig,
  type EventInput,
  type RunState,
  type RunSummary,
  type StepReport,
  type TimelineLine,
} from "@eddy/schemas";
import {
  coreTopicSpecs,
  EventSender,
  InboxLanes,
  NO_METER,
  registerApp,
  RegistryView,
  topicsOf,
  type GeneratedIds,
  type Logger,
} from "@eddy/clients";
import { monotonicFactory } from "ulid";
import { MemoryStoreFactory } from "../adapters/memory/index.js";
import { core } from "../core/core.js";
import { HistoryLookup } from "../history/history-lookup.js";
import { HistoryTailer } from "../history/history-tailer.js";
import { PartitionTask } from "../partition/index.js";
import { agreeOnNamespace } from "../world/namespace-entry.js";
import { AppFeed, type AppHandlers } from "./app-feed.js";
import { VirtualClock } from "./virtual-clock.js";
import { WatchedLog } from "./watched-log.js";

export interface MemoryEngineOptions {
  /** ms since 1970 at which its time begins. */
  readonly startMs: number;
  readonly logger: Logger;
}

const NAMESPACE = "test";
const PARTITIONS = 1;
/** There are no other senders whose views would have to grow old. */
const SETTLE_MS = 0;
const EVENTS_KEPT_MS = 3 * 86_400_000;
/** What a test did weeks of its time ago can be looked up to its end. */
const RUNS_KEPT_MS = Number.MAX_SAFE_INTEGER;
const RUNS_PER_PAGE = 100;
const ANY_RUN = { functionId: null, status: null, eventName: null, fromMs: null, untilMs: null };

export class MemoryEngine {
  readonly #clock: VirtualClock;
  readonly #log: WatchedLog;
  readonly #logger: Logger;
  readonly #topics = topicsOf(NAMESPACE);
  readonly #stopping = new AbortController();
  readonly #task: PartitionTask;
  readonly #history: HistoryTailer;
  readonly #lookup: HistoryLookup;
  readonly #registry: RegistryView;
  readonly #lanes: InboxLanes;
  readonly #sender: EventSender;
  #feed: AppFeed | null = null;

  static async start(options: MemoryEngineOptions): Promise<MemoryEngine> {
    const engine = new MemoryEngine(options);
    await engine.#start();
    return engine;
  }

  private constructor({ startMs, logger }: MemoryEngineOptions) {
    const clock = new VirtualClock(startMs);
    const log = new WatchedLog(clock);
    const stores = new MemoryStoreFactory();
    const topics = this.#topics;
    const base = { log, stores, clock, logger, meter: NO_METER, topics };
    this.#clock = clock;
    this.#log = log;
    this.#logger = logger;
    this.#task = new PartitionTask({ ...base, core, partition: 0, partitions: PARTITIONS });
    const inbox = { topic: topics.inbox, retentionMs: EVENTS_KEPT_MS };
    const kept = { inbox, retentionMs: RUNS_KEPT_MS };
    const history = new HistoryTailer({ ...base, ...kept, topic: topics.history, partition: 0 });
    this.#history = history;
    this.#lookup = new HistoryLookup({ partitions: PARTITIONS, historyOf: () => history });
    this.#registry = new RegistryView({ ...base, topic: topics.registry, partitions: PARTITIONS });
    this.#lanes = new InboxLanes({ ...base, topic: topics.inbox, partitions: PARTITIONS });
    const makeId = monotonicFactory();
    const parts = { ...base, lanes: this.#lanes, registry: this.#registry, makeId };
    this.#sender = new EventSender({ ...parts, advanceMs: () => 0 });
  }

  async #start(): Promise<void> {
    const { signal } = this.#stopping;
    const topics = this.#topics;
    await this.#log.ensureTopics(coreTopicSpecs(topics, PARTITIONS));
    await this.#registry.start();
    const entry = { log: this.#log, clock: this.#clock, topic: topics.registry, registry: this.#registry, signal };
    const namespace = { partitions: PARTITIONS, dev: true, settleMs: SETTLE_MS };
    await agreeOnNamespace({ ...entry, name: NAMESPACE }, namespace);
    await this.#task.start();
    await this.#history.start();
  }

  /** Resolves when the app is in force and its worker hears of requests. Once. @throws ConfigError as `registerApp` */
  async work(config: AppConfig, handlers: AppHandlers): Promise<void> {
    const deps = {
      log: this.#log,
      clock: this.#clock,
      topics: this.#topics,
      lanes: this.#lanes,
      registry: this.#registry,
    };
    await registerApp(config, deps, this.#stopping.signal);
    const endOf = (topic: string): number => this.#log.endOf(topic);
    this.#feed = new AppFeed(config, { ...deps, logger: this.#logger, endOf }, handlers);
    this.#feed.start();
  }

  /** As `EventSender.send`. */
  send(events: readonly EventInput[], generated: GeneratedIds): Promise<readonly string[]> {
    return this.#sender.send(events, generated);
  }

  /** Resolves when the log has it. @throws BadRecordError for one that is too large */
  async report(report: StepReport): Promise<void> {
    await this.#lanes.append(0, [{ key: report.runId, value: encodeInbox({ kind: "report", report }) }]);
  }

  /** null: the run is over, or not in this invocation. */
  runState(runId: string, invocation: number): Promise<RunState | null> {
    return this.#task.runState(runId, invocation);
  }

  get nowMs(): number {
    return this.#clock.nowMs();
  }
  /** Is everything decided, told and handed over? See the head of this file. */
  get isQuiet(): boolean {
    return this.#task.hasSettled(this.#log.endOf(this.#topics.inbox)) && this.#feed?.isDone !== false;
  }
  /** ms since 1970 at which something is due by itself, a lower bound where it is not known; null: nothing is. */
  get nextDueMs(): number | null {
    return this.#task.nextDueMs();
  }
  /** Grows while anything happens. */
  get appends(): number {
    return this.#log.appends;
  }
  /** Why it does not work any more; null while it does. */
  get failure(): Error | null {
    return this.#task.failure ?? this.#history.failure ?? this.#feed?.failure ?? this.#registry.failure;
  }

  /** Moves the time, never back, and puts into the log that it has moved: what is due by then happens. */
  async moveTo(atMs: number): Promise<void> {
    this.#clock.moveTo(atMs);
    await this.#lanes.append(0, [{ key: null, value: encodeInbox({ kind: "tick" }) }]);
  }

  /** null for an id that no run has. */
  run(runId: string): Promise<RunSummary | null> {
    return this.#lookup.runById(runId);
  }
  timeline(runId: string): Promise<readonly TimelineLine[]> {
    return this.#lookup.timeline(runId);
  }
  /** Runs that the event started. */
  async runsOfEvent(eventId: string): Promise<readonly RunSummary[]> {
    return [...(await this.#lookup.runsOfEvent(eventId, [0]))].sort(byStart);
  }
  /** All there were, the oldest start first. */
  async runs(): Promise<readonly RunSummary[]> {
    const found: RunSummary[] = [];
    let after: Parameters<HistoryLookup["runs"]>[0]["after"] = null;
    do {
      const page = await this.#lookup.runs({ filter: ANY_RUN, after, limit: RUNS_PER_PAGE }, [0]);
      found.push(...page.runs);
      after = page.seenTo;
    } while (after !== null);
    return found.sort(byStart);
  }

  /** Idempotent; never rejects. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#feed?.stop();
    await this.#lanes.close();
    await this.#task.stop();
    await this.#history.stop();
    await this.#registry.close();
    await this.#log.close();
  }
}

/** Many start at the same time here: their ids end with the offset that started them. */
function byStart(a: RunSummary, b: RunSummary): number {
  const [x, y] = [a, b].map(({ run_id: id }) => parseInt(id.slice(baseOfRun(id).length), 36)) as [number, number];
  return x - y;
}
