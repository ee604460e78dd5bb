/**
 * Row keys and index keys: text, a kind letter first. Kind letters are registered in kinds.lock and never reused.
 *
 * rows (checkpointed)                           | indexes (derived from rows, local only)
 *  p                     partition              |  t|<effective domain>|<due>|<target>   timers, in firing order
 *  f                     functions              |  q|<app>|<offset>|<index>              requests in flight, by cause
 *  r|<base>              run                    |  x|<id key>                            remembered event ids
 *  o|<base>|<no>         result                 |
 *  s|<route>|<chunk>     subscriptions          |
 *  e|<route>|<offset>    kept event             | meta (checkpointed, not a row): m
 *  i|<class>|<bucket>|<chunk>  event ids        |
 *  d|<app>               delivery               |
 *  g|<base>              guest                  |
 *  k|<partition>         mark of a source       |
 *
 * Run ids and route keys start with their shard in three hex digits. Everything that is ever scanned in order is
 * ASCII of fixed width, so that text order equals byte order.
 */
import { baseOfRun, type RowKind } from "@eddy/schemas";

declare const rowKind: unique symbol;
/** A row key that knows the kind of its row. */
export type RowKey<K extends RowKind = RowKind> = string & { readonly [rowKind]: K };

export const KIND_LETTERS = {
  partition: "p",
  functions: "f",
  run: "r",
  result: "o",
  subscription: "s",
  keptEvent: "e",
  ids: "i",
  delivery: "d",
  guest: "g",
  mark: "k",
} as const satisfies Record<RowKind, string>;

const LETTER_KINDS = new Map<string, RowKind>(
  (Object.entries(KIND_LETTERS) as [RowKind, string][]).map(([kind, letter]) => [letter, kind]),
);

const pad = (n: number, width: number): string => String(n).padStart(width, "0");
const OFFSET_WIDTH = 16;
const TIME_WIDTH = 16;

export const META_KEY = "m";
export const PARTITION_KEY = "p" as RowKey<"partition">;
export const FUNCTIONS_KEY = "f" as RowKey<"functions">;
/** @param runId or its base: one run of a base lives at a time. Whoever got the id from outside compares it with the row's. */
export const runKey = (runId: string): RowKey<"run"> => `r|${baseOfRun(runId)}` as RowKey<"run">;
/** @param runId or its base. @param no unique in the run's life, and no row of it outlives that. */
export const resultKey = (runId: string, no: number): RowKey<"result"> =>
  `o|${baseOfRun(runId)}|${pad(no, 8)}` as RowKey<"result">;
export const guestKey = (base: string): RowKey<"guest"> => `g|${base}` as RowKey<"guest">;
const PARTITION_WIDTH = 4;
export const markKey = (partition: number): RowKey<"mark"> => `k|${pad(partition, PARTITION_WIDTH)}` as RowKey<"mark">;
export const subscriptionKey = (routeKey: string, chunk: number): RowKey<"subscription"> =>
  `s|${routeKey}|${pad(chunk, 6)}` as RowKey<"subscription">;
export const keptEventKey = (routeKey: string, offset: number): RowKey<"keptEvent"> =>
  `e|${routeKey}|${pad(offset, OFFSET_WIDTH)}` as RowKey<"keptEvent">;
export type IdClass = "generated" | "user";
export const idsKey = (idClass: IdClass, bucket: number, chunk: number): RowKey<"ids"> =>
  `i|${idClass}|${pad(bucket, 12)}|${pad(chunk, 8)}` as RowKey<"ids">;
export const deliveryKey = (app: string): RowKey<"delivery"> => `d|${app}` as RowKey<"delivery">;

/** @returns the kind of a row key, or null for index keys and meta. */
export function kindOf(key: string): RowKind | null {
  return LETTER_KINDS.get(key.charAt(0)) ?? null;
}
/** Narrows a row key by its letter. */
export function isKind<K extends RowKind>(key: RowKey, kind: K): key is RowKey<K> {
  return key.charAt(0) === KIND_LETTERS[kind];
}

/**
 * Clock that a timer runs by: `v` stream time (sleeps, waits, retries, id windows), `w` raw append time (leases, new
 * routes), which a clock advance does not move.
 */
export type TimerDomain = "v" | "w";

export type TimerTarget =
  /** A pending item of a run. */
  | { readonly kind: "pending"; readonly runId: string; readonly no: number }
  /** The heartbeat lease of a run's request in flight. */
  | { readonly kind: "lease"; readonly runId: string }
  /** The first sweep of an app's delivery row. */
  | { readonly kind: "sweep"; readonly app: string }
  /** The end of an id bucket. */
  | { readonly kind: "ids"; readonly key: RowKey<"ids"> }
  /** A wait of a run of another partition. */
  | { readonly kind: "guest"; readonly base: string; readonly no: number }
  /** The routes of a registration are settled here. */
  | { readonly kind: "settle"; readonly version: number };

export interface Timer {
  readonly domain: TimerDomain;
  /** In the time of the domain, ms. */
  readonly dueAtMs: number;
  readonly target: TimerTarget;
}

const TARGET_LETTERS = { pending: "r", lease: "l", sweep: "d", ids: "i", guest: "g", settle: "s" } as const;

/** Index key of a timer. Text order is firing order within a domain: (due, kind, run, number). */
export function timerKey(timer: Timer): string {
  const { target } = timer;
  const head = `${timerPrefix(timer.domain)}${pad(timer.dueAtMs, TIME_WIDTH)}|${TARGET_LETTERS[target.kind]}|`;
  switch (target.kind) {
    case "pending":
      return `${head}${target.runId}|${pad(target.no, 8)}`;
    case "lease":
      return head + target.runId;
    case "sweep":
      return head + target.app;
    case "ids":
      return head + target.key;
    case "guest":
      return `${head}${target.base}|${pad(target.no, 8)}`;
    case "settle":
      return head + pad(target.version, 12);
  }
}

export function timerPrefix(domain: TimerDomain): string {
  return `t|${domain}|`;
}

/** Upper bound (exclusive) of a scan for timers due at or before `atMs`. */
export function timerScanEnd(domain: TimerDomain, atMs: number): string {
  return `${timerPrefix(domain)}${pad(atMs + 1, TIME_WIDTH)}`;
}

/** Inverse of `timerKey`. @throws Error on anything else: an index key is never user input. */
export function parseTimerKey(key: string): Timer {
  const due = 4 + TIME_WIDTH;
  const domain = key.charAt(2);
  const rest = key.slice(due + 3);
  const dueAtMs = Number(key.slice(4, due));
  if (!key.startsWith("t|") || (domain !== "v" && domain !== "w")) throw new Error(`not a timer key: ${key}`);
  return { domain, dueAtMs, target: parseTarget(key.charAt(due + 1), rest, key) };
}

function parseTarget(letter: string, rest: string, key: string): TimerTarget {
  switch (letter) {
    case "r": {
      const cut = rest.lastIndexOf("|");
      return { kind: "pending", runId: rest.slice(0, cut), no: Number(rest.slice(cut + 1)) };
    }
    case "l":
      return { kind: "lease", runId: rest };
    case "d":
      return { kind: "sweep", app: rest };
    case "i":
      return { kind: "ids", key: rest as RowKey<"ids"> };
    case "g": {
      const cut = rest.lastIndexOf("|");
      return { kind: "guest", base: rest.slice(0, cut), no: Number(rest.slice(cut + 1)) };
    }
    case "s":
      return { kind: "settle", version: Number(rest) };
    default:
      throw new Error(`not a timer key: ${key}`);
  }
}

/** Index of requests in flight that no heartbeat has covered yet, in the order of their causes. Value: the run id. */
export function inFlightKey(app: string, cause: { readonly offset: number; readonly index: number }): string {
  return `${inFlightPrefix(app)}${pad(cause.offset, OFFSET_WIDTH)}|${pad(cause.index, 8)}`;
}
export function inFlightPrefix(app: string): string {
  return `q|${app}|`;
}

/** Index of remembered event ids. Value: where the event stands (`placeText`). */
export const idIndexKey = (idKey: string): string => `x|${idKey}`;

/** Where an event stands on this partition: by offset, and by stream time. */
export interface Place {
  readonly offset: number;
  readonly atMs: number;
}
export function placeText({ offset, atMs }: Place): string {
  return `${offset} ${atMs}`;
}
/** Inverse of `placeText`. */
export function parsePlace(text: string): Place {
  const cut = text.indexOf(" ");
  return { offset: Number(text.slice(0, cut)), atMs: Number(text.slice(cut + 1)) };
}
