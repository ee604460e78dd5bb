/** What the tests of gateway, dispatch, registry and history share: a log whose appends can be held or failed. */
import {
  configDigest,
  decodeFrame,
  decodeInbox,
  encodeFrame,
  encodeRegistry,
  functionConfig,
  offset,
  type CancelRule,
  type DeclaredWait,
  type FunctionConfig,
  type GatewayFrame,
  type InboxRecord,
  type Offset,
  type RegisteredApp,
  type WorkerFrame,
} from "@eddy/schemas";
import { MemoryLog } from "../../src/adapters/memory/memory-log.js";
import { ManualClock } from "../../src/adapters/memory/manual-clock.js";
import { MemoryGroups } from "../../src/adapters/memory/memory-groups.js";
import { InboxLanes } from "../../../clients/src/send/inbox-lanes.js";
import type { RunStates } from "../../../clients/src/dispatch/run-states.js";
import type { WorkerLink } from "../../../clients/src/dispatch/worker-link.js";
import type {
  Appended,
  GroupOffset,
  Log,
  LogReader,
  LogRecord,
  NewRecord,
  ReadLimits,
} from "../../../clients/src/ports/log.js";
import type { Logger } from "../../../clients/src/ports/logger.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { RegistryView } from "../../../clients/src/registry/registry-view.js";
import { coreTopicSpecs, topicsOf } from "../../../clients/src/topics.js";

export const TOPICS = topicsOf("test");
export const PARTITIONS = 4;

/** Turns of the event loop that a condition may take; the later ones wait for sockets, 2 ms each: 10 s in all. */
const TURNS = { fast: 500, max: 5_500 } as const;

/** Resolves when `condition` gives something other than false, null or undefined. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
): Promise<Exclude<T, false | null | undefined>> {
  for (let turn = 0; turn < TURNS.max; turn += 1) {
    const found = await condition();
    if (found !== false && found !== null && found !== undefined) return found as Exclude<T, false | null | undefined>;
    await (turn < TURNS.fast ? turnOfEventLoop() : new Promise((resolve) => setTimeout(resolve, 2)));
  }
  throw new Error(`not reached: ${what}`);
}

/** Lets everything that can go on without time passing go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await turnOfEventLoop();
}

const turnOfEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: object;
  readonly message: string;
}

export class LinesLogger implements Logger {
  readonly lines: LogLine[] = [];
  debug(fields: object, message: string): void {
    this.lines.push({ level: "debug", fields, message });
  }
  info(fields: object, message: string): void {
    this.lines.push({ level: "info", fields, message });
  }
  warn(fields: object, message: string): void {
    this.lines.push({ level: "warn", fields, message });
  }
  error(fields: object, message: string): void {
    this.lines.push({ level: "error", fields, message });
  }
}

interface AppendCall {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly NewRecord[];
}

/** A memory log that tells of appends and group commits before they happen, and may fail them. */
export class HookedLog implements Log {
  readonly inner: MemoryLog;
  /** Awaited before each append; throwing fails the append. */
  beforeAppend: (call: AppendCall) => void | Promise<void> = () => undefined;
  beforeCommit: (at: GroupOffset) => void | Promise<void> = () => undefined;
  readonly appends: AppendCall[] = [];
  /** While false, reads go on without an end. */
  isReadable = true;

  constructor(inner: MemoryLog) {
    this.inner = inner;
  }
  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    await this.beforeAppend({ topic, partition, records });
    const appended = await this.inner.append(topic, partition, records);
    this.appends.push({ topic, partition, records });
    return appended;
  }
  async commitGroupOffset(group: string, topic: string, partition: number, at: GroupOffset): Promise<void> {
    await this.beforeCommit(at);
    await this.inner.commitGroupOffset(group, topic, partition, at);
  }
  reader(topic: string, partition: number, from: Offset): LogReader {
    const inner = this.inner.reader(topic, partition, from);
    let isClosed = false;
    const read = async (limits: ReadLimits): Promise<readonly LogRecord[]> => {
      const records = await inner.read(limits);
      while (!this.isReadable && !isClosed) await turnOfEventLoop();
      return records;
    };
    const close = (): Promise<void> => {
      isClosed = true;
      return inner.close();
    };
    return {
      read,
      close,
      get position() {
        return inner.position;
      },
    };
  }
  ensureTopics: Log["ensureTopics"] = (specs) => this.inner.ensureTopics(specs);
  topicId: Log["topicId"] = (topic) => this.inner.topicId(topic);
  offsets: Log["offsets"] = (topic, partition) => this.inner.offsets(topic, partition);
  openChangelogWriter: Log["openChangelogWriter"] = (topic, p) => this.inner.openChangelogWriter(topic, p);
  groupOffset: Log["groupOffset"] = (group, topic, p) => this.inner.groupOffset(group, topic, p);
  close: Log["close"] = () => this.inner.close();
}

export interface World {
  readonly clock: ManualClock;
  readonly log: HookedLog;
  readonly groups: MemoryGroups;
  readonly logger: LinesLogger;
  readonly lanes: InboxLanes;
  readonly registry: RegistryView;
  close(): Promise<void>;
}

/** Of no run. */
export const NO_STATES: RunStates = {
  stateOf: () => Promise.resolve(null),
  isOver: () => Promise.resolve(false),
};

/** A log with the core topics, lanes and a caught-up registry view, in a time that stands still. */
export async function world(): Promise<World> {
  const clock = new ManualClock();
  const log = new HookedLog(new MemoryLog(clock));
  const logger = new LinesLogger();
  await log.ensureTopics(coreTopicSpecs(TOPICS, PARTITIONS));
  const lanes = new InboxLanes({ log, clock, meter: NO_METER, topic: TOPICS.inbox, partitions: PARTITIONS });
  const registry = new RegistryView({ log, clock, logger, topic: TOPICS.registry, partitions: PARTITIONS });
  await registry.start();
  // One empty read makes the view fresh.
  await untilFresh(registry, clock);
  const close = async (): Promise<void> => {
    await lanes.close();
    await registry.close();
    await log.close();
  };
  return { clock, log, groups: new MemoryGroups(log), logger, lanes, registry, close };
}

async function untilFresh(registry: RegistryView, clock: ManualClock): Promise<void> {
  const fresh = registry.whenFresh();
  let isFresh = false;
  void fresh.then(() => (isFresh = true));
  await until("a fresh registry view", () => {
    if (!isFresh) clock.advance(50);
    return isFresh;
  });
}

interface FunctionInShort extends Partial<Pick<FunctionConfig, "name" | "retries">> {
  readonly id: string;
  readonly triggers?: readonly { readonly event: string; readonly if?: string | null }[];
  readonly cancelOn?: readonly (Partial<CancelRule> & { readonly event: string })[];
  readonly waits?: readonly (Partial<DeclaredWait> & { readonly event: string })[];
}
/** What is not given is as users get it by default. */
export const fn = ({ triggers, cancelOn = [], waits = [], ...config }: FunctionInShort): FunctionConfig =>
  functionConfig.parse({
    name: config.id,
    triggers: (triggers ?? [{ event: "none" }]).map((trigger) => ({ if: null, ...trigger })),
    cancelOn: cancelOn.map((rule) => ({ match: null, if: null, timeout: null, ...rule })),
    waits: waits.map((wait) => ({ match: null, if: null, since: "mark", ...wait })),
    retries: 4,
    ...config,
  });

export function appOf(app: string, version: number, functions: readonly FunctionConfig[]): RegisteredApp {
  const digest = configDigest(app, functions);
  return { app, version, digest, functions: [...functions], anchors: [], learned: [], retired: [], former: [] };
}

export async function publishApp(log: Log, config: RegisteredApp): Promise<void> {
  await log.append(TOPICS.registry, 0, [{ key: `app/${config.app}`, value: encodeRegistry({ kind: "app", config }) }]);
}

export async function publishApplied(log: Log, partition: number, version: number): Promise<void> {
  const value = encodeRegistry({ kind: "applied", partition, version });
  await log.append(TOPICS.registry, 0, [{ key: `applied/${partition}`, value }]);
}

/** Registers functions as inbox 0 and the partitions would, and waits until the view shows it. */
export async function inForce({ log, registry }: World, config: RegisteredApp): Promise<void> {
  await publishApp(log, config);
  for (let p = 0; p < PARTITIONS; p += 1) await publishApplied(log, p, config.version);
  await until("the registration is in force", () => registry.isInForce(config.app, config.digest));
}

export async function recordsOf(log: Log, topic: string, partition: number): Promise<readonly LogRecord[]> {
  const reader = log.reader(topic, partition, offset(0));
  const records: LogRecord[] = [];
  for (;;) {
    const more = await reader.read({ recordsMax: 1_000, waitMs: 0 });
    if (more.length === 0) break;
    records.push(...more);
  }
  await reader.close();
  return records;
}

export async function inboxOf(log: Log, partition: number): Promise<readonly InboxRecord[]> {
  return (await recordsOf(log, TOPICS.inbox, partition)).map(({ value }) => decodeInbox(value as Uint8Array));
}

export async function inboxOfKind<K extends InboxRecord["kind"]>(
  log: Log,
  partition: number,
  kind: K,
): Promise<readonly Extract<InboxRecord, { kind: K }>[]> {
  const isWanted = (record: InboxRecord): record is Extract<InboxRecord, { kind: K }> => record.kind === kind;
  return (await inboxOf(log, partition)).filter(isWanted);
}

/** A worker's connection without a socket. */
export class FakeLink implements WorkerLink {
  readonly sent: GatewayFrame[] = [];
  closed: { readonly code: number; readonly reason: string } | null = null;
  isCongested = false;

  send(frame: GatewayFrame): void {
    // Through the codec, as a transport would.
    if (this.closed === null) this.sent.push(decodeFrame(encodeFrame(frame)) as GatewayFrame);
  }
  close(code: number, reason: string): void {
    this.closed ??= { code, reason };
  }
  of<K extends GatewayFrame["kind"]>(kind: K): readonly Extract<GatewayFrame, { kind: K }>[] {
    return this.sent.filter((frame): frame is Extract<GatewayFrame, { kind: K }> => frame.kind === kind);
  }
}

export const bytesOf = (frame: WorkerFrame): Uint8Array => encodeFrame(frame);
export const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
