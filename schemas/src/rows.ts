/**
 * Rows: what a partition remembers. Keyed as core/state/keys.ts says, checkpointed to the changelog, held in the
 * local store. Every field is always present (null, never undefined), so that equal rows have equal bytes.
 */
import { z } from "zod";
import { listenedPath, registeredApp } from "./function-config.js";
import { causeShape, matchValues } from "./records.js";
import { bytes, memoEntry } from "./steps.js";

const count = z.number().int().min(0);
const ms = z.number();

/** What a run waits for that the clock will settle; `no` counts per run and names the timer. */
export const pendingItem = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("start"), no: count, dueAtMs: ms }),
  z.strictObject({ kind: z.literal("sleep"), no: count, dueAtMs: ms, stepId: z.string() }),
  /** `routeKey` is null where the trigger has no value at the match path: nothing matches, only time. */
  z.strictObject({
    kind: z.literal("wait"),
    no: count,
    /** When it is looked at: its deadline, or later while events of its route may still be under way. */
    dueAtMs: ms,
    deadlineMs: ms,
    /** Events before this, or at or before that offset, are not eligible. */
    fromMs: ms,
    fromOffset: z.number().int(),
    stepId: z.string(),
    event: z.string(),
    path: z.string(),
    routeKey: z.string().nullable(),
    /** CEL that is left to ask. */
    if: z.string().nullable(),
  }),
  /** A wait that another partition keeps, with its timer; it answers. */
  z.strictObject({
    kind: z.literal("foreignWait"),
    no: count,
    partition: count,
    deadlineMs: ms,
    stepId: z.string(),
    event: z.string(),
    path: z.string(),
    value: z.string(),
    if: z.string().nullable(),
    fromMs: ms,
  }),
  /**
   * `stepId` null: the handler itself is retried. `isDue`: its time came while another invocation was in flight; the
   * next one makes the attempt.
   */
  z.strictObject({
    kind: z.literal("retry"),
    no: count,
    dueAtMs: ms,
    stepId: z.string().nullable(),
    isDue: z.boolean(),
  }),
]);
export type PendingItem = z.infer<typeof pendingItem>;

export const subscriptionPurpose = z.enum(["wait", "cancel"]);

/** Of a cancel rule. `given`: the part of the triggering event that `if` reads, as JSON; null where the run is here. */
const rule = z.strictObject({
  if: z.string().nullable(),
  given: bytes.nullable(),
  /** Stream time, exclusive; null: as long as the run. */
  expiresAtMs: ms.nullable(),
});
export type Rule = z.infer<typeof rule>;

const subscription = z.strictObject({
  purpose: subscriptionPurpose,
  routeKey: z.string(),
  chunk: count,
  /** Of purpose `cancel`; any of them cancels. */
  rules: z.array(rule),
  /** Of purpose `wait`: are events kept from the trigger on, whatever the mark? */
  fromTrigger: z.boolean(),
});
export type Subscription = z.infer<typeof subscription>;

/** Events after `offset`, and not before `atMs` (stream time, but for BROKER_SKEW_MS), are eligible. */
export const mark = z.strictObject({ offset: z.number().int(), atMs: ms });
export type Mark = z.infer<typeof mark>;

/** Where data lies that is not in the run's own row: in the result row of this number, so many bytes. */
const resultRef = z.strictObject({ no: count, bytes: count });
export type ResultRef = z.infer<typeof resultRef>;
/** A memo entry as the run's row has it: what is large lies apart (`result` rows). References never leave the partition. */
const settledStep = memoEntry.extend({ data: z.union([bytes, resultRef]).nullable() });
export type SettledStep = z.infer<typeof settledStep>;

/** r: a live run. Deleted when it ends. */
export const runRow = z.strictObject({
  runId: z.string(),
  functionId: z.string(),
  app: z.string(),
  event: z.strictObject({ id: z.string(), name: z.string(), values: matchValues, payload: bytes }),
  anchor: z.string(),
  startedOffset: count,
  /** When its trigger came, and where: events after that are for it. -1: a late repeat started it, the time alone tells. */
  startedAtMs: ms,
  beganOffset: z.number().int(),
  mark,
  /**
   * Where the mark goes once the run only waits: what runs until then may have caused events that it will wait for. By the
   * step whose end moves it.
   */
  laterMarks: z.array(z.strictObject({ stepId: z.string(), to: mark })),
  retries: count,
  memo: z.array(settledStep),
  /** Of the next result row: unique in the run's life. */
  nextResultNo: count,
  pending: z.array(pendingItem),
  nextPendingNo: count,
  /** Steps that were asked for and given up: they lost a race. */
  withdrawn: z.array(z.string()),
  /** Where this run stands in subscription rows of its own partition. */
  subscriptions: z.array(subscription),
  /** Other partitions where it listens. `heardAt`: offset there of the last trigger copy that was announced; -1: none yet. */
  foreign: z.array(z.strictObject({ partition: count, heardAt: z.number().int() })),
  /** Failed attempts since the last progress: [step id, count]; "" stands for the handler. */
  attempts: z.array(z.tuple([z.string(), count])),
  /** Events that waits of this run took: [event id, step id]. */
  taken: z.array(z.tuple([z.string(), z.string()])),
  invocation: z.strictObject({
    /** Invocations so far. */
    no: count,
    /** The request in flight, by its cause; null while none is. */
    cause: causeShape.nullable(),
    /** Lease from heartbeats, in raw time; null until the first. */
    leaseUntilMs: ms.nullable(),
    /** Length of the memo when the last request was made. */
    memoSent: count,
  }),
});
export type RunRow = z.infer<typeof runRow>;

/** o: data of one settled step of a run of this partition; the run's row names it. Gone when the run ends, at the latest. */
export const resultRow = z.strictObject({ data: bytes });
export type ResultRow = z.infer<typeof resultRow>;

/** g: a run of another partition that listens here. Known by its base: its generation is not told. */
export const guestRow = z.strictObject({
  base: z.string(),
  /** null: only the trigger's copy told of it. */
  runId: z.string().nullable(),
  trigger: z.strictObject({ id: z.string(), name: z.string() }),
  /** The trigger's own copy here; -1 where the run itself told first. Events at or before it are not eligible. */
  fromOffset: z.number().int(),
  /** The last trigger copy here, repeats too; -1: none. */
  heardAt: z.number().int(),
  startedAtMs: ms,
  taken: z.array(z.string()),
  subscriptions: z.array(subscription),
  waits: z.array(
    z.strictObject({
      no: count,
      routeKey: z.string(),
      event: z.string(),
      path: z.string(),
      if: z.string().nullable(),
      given: bytes.nullable(),
      fromMs: ms,
      deadlineMs: ms,
      dueAtMs: ms,
    }),
  ),
  /** Events before this are of no use to its waits, in stream time; as its last wait told. */
  keepFromMs: ms,
});
export type GuestRow = z.infer<typeof guestRow>;

/**
 * s: who listens at one route key. Chunk 0 is the head: its `total` counts the entries of all chunks, `tail` is the
 * last chunk in use, `kept` lists the events kept there for lookback, `lost` is the last that had to give way before its
 * time. In other chunks these four stay 0, 0, [], null.
 */
export const subscriptionRow = z.strictObject({
  /** `base` of runs of this partition and of guests. */
  entries: z.array(z.strictObject({ base: z.string(), purpose: subscriptionPurpose })),
  total: count,
  tail: count,
  kept: z.array(z.strictObject({ offset: count, eventId: z.string(), atMs: ms, bytes: count })),
  lost: z.strictObject({ offset: count, atMs: ms }).nullable(),
});
export type SubscriptionRow = z.infer<typeof subscriptionRow>;

/** e: an event kept for a wait that a live run may still make. `atMs`: stream time; of the first copy, where repeated. */
export const keptEventRow = z.strictObject({ eventId: z.string(), atMs: ms, payload: bytes });
export type KeptEventRow = z.infer<typeof keptEventRow>;

/** k: what was taken from one source partition, up to here. */
export const markRow = z.strictObject({ offset: count, index: count });
export type MarkRow = z.infer<typeof markRow>;

/**
 * i: event ids of one time bucket: what makes a second copy the same event, and where the first stands, by offset and stream
 * time.
 */
export const idsRow = z.strictObject({ ids: z.array(z.tuple([z.string(), count, ms])), expiresAtMs: ms });
export type IdsRow = z.infer<typeof idsRow>;

/** d: delivery of one app's requests. Each sweep: at `dueAtMs` raw time, requests up to `mark` have lost their lease. */
export const deliveryRow = z.strictObject({
  sweeps: z.array(z.strictObject({ mark: causeShape, dueAtMs: ms })),
});
export type DeliveryRow = z.infer<typeof deliveryRow>;

/** f: all registered apps, as this partition knows them. One row. */
export const functionsRow = z.strictObject({ version: count, apps: z.array(registeredApp) });
export type FunctionsRow = z.infer<typeof functionsRow>;

const idBucket = z.strictObject({ bucket: count, chunk: count, used: count });
/** p: the partition itself. One row. */
export const partitionRow = z.strictObject({
  logic: count,
  /** Sum of all advances so far: stream time = raw time + advanceMs. */
  advanceMs: count,
  /** Registrations numbered so far; moves on partition 0 only. */
  registrations: count,
  /**
   * Registrations whose new routes are not settled yet: until every partition has said so, waits by them do not time out.
   */
  settling: z.array(
    z.strictObject({
      version: count,
      /** null: too many to tell apart, all count as not settled. */
      routes: z.array(listenedPath).nullable(),
      /** Partitions that have not said so. */
      missing: count,
      /** When this partition says so, in raw time; null: it has. */
      sendAtMs: ms.nullable(),
    }),
  ),
  /** Of the newest registration: what a wait that its function has not declared is registered with. */
  settleMs: count,
  ids: z.strictObject({ generated: idBucket, user: idBucket }),
});
export type PartitionRow = z.infer<typeof partitionRow>;

export const ROW_SCHEMAS = {
  run: runRow,
  result: resultRow,
  subscription: subscriptionRow,
  guest: guestRow,
  keptEvent: keptEventRow,
  mark: markRow,
  ids: idsRow,
  delivery: deliveryRow,
  functions: functionsRow,
  partition: partitionRow,
} as const;

export interface Rows {
  run: RunRow;
  result: ResultRow;
  subscription: SubscriptionRow;
  guest: GuestRow;
  keptEvent: KeptEventRow;
  mark: MarkRow;
  ids: IdsRow;
  delivery: DeliveryRow;
  functions: FunctionsRow;
  partition: PartitionRow;
}
export type RowKind = keyof Rows;

/**
 * The checkpoint's own record, beside the rows: where a takeover reads on. `index` and `firedTo` are set when record
 * `nextOffset` is not consumed yet but timers before it have fired.
 */
export const metaRow = z.strictObject({
  nextOffset: count,
  /** Effects already caused by record `nextOffset`. */
  index: count,
  /** Highest log append time applied. */
  rawMs: ms,
  /** Effective time and key of the last timer fired; scans start after it. "" before the first. */
  lastTimer: z.string(),
  logic: count,
  /** Grows by one at each takeover. */
  incarnation: count,
});
export type MetaRow = z.infer<typeof metaRow>;
