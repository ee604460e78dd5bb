/**
 * Rows: what a partition remembers. Keyed as core/state/keys.ts says, checkpointed to the changelog, held in the
 * local store. Every field is always present (null, never undefined), so that equal rows have equal bytes.
 */
import { z } from "zod";
import { registeredApp } from "./function-config.js";
import { causeShape, matchValues, sourceShape } from "./records.js";
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
    dueAtMs: ms,
    stepId: z.string(),
    routeKey: z.string().nullable(),
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

/** r: a live run. Deleted when it ends. */
export const runRow = z.strictObject({
  runId: z.string(),
  functionId: z.string(),
  app: z.string(),
  event: z.strictObject({ id: z.string(), name: z.string(), values: matchValues, payload: bytes }),
  anchor: z.string(),
  startedOffset: count,
  startedAtMs: ms,
  /** Events at or before this offset are not eligible for the next wait. */
  markOffset: z.number().int(),
  retries: count,
  memo: z.array(memoEntry),
  pending: z.array(pendingItem),
  nextPendingNo: count,
  /** Where this run stands in subscription rows. `expiresAtMs`: when a cancel rule stops to act. */
  subscriptions: z.array(
    z.strictObject({
      purpose: subscriptionPurpose,
      routeKey: z.string(),
      chunk: count,
      expiresAtMs: ms.nullable(),
    }),
  ),
  /** Failed attempts since the last progress: [step id, count]; "" stands for the handler. */
  attempts: z.array(z.tuple([z.string(), count])),
  /** Ids of events that waits of this run took. */
  taken: z.array(z.string()),
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

/**
 * s: who listens at one route key. Chunk 0 is the head: its `total` counts the entries of all chunks, `tail` is the
 * last chunk in use, `kept` lists the events kept there for lookback. In other chunks these three stay 0, 0, [].
 */
export const subscriptionRow = z.strictObject({
  entries: z.array(z.strictObject({ runId: z.string(), purpose: subscriptionPurpose })),
  total: count,
  tail: count,
  kept: z.array(z.strictObject({ offset: count, eventId: z.string(), bytes: count })),
});
export type SubscriptionRow = z.infer<typeof subscriptionRow>;

/** e: an event kept for a wait that a live run may still make. */
export const keptEventRow = z.strictObject({ eventId: z.string(), atMs: ms, payload: bytes });
export type KeptEventRow = z.infer<typeof keptEventRow>;

/** i: event ids of one time bucket. */
export const idsRow = z.strictObject({ ids: z.array(z.string()), expiresAtMs: ms });
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
  /** Highest (offset, index) taken from each source partition. */
  marks: z.array(sourceShape),
  ids: z.strictObject({ generated: idBucket, user: idBucket }),
});
export type PartitionRow = z.infer<typeof partitionRow>;

export const ROW_SCHEMAS = {
  run: runRow,
  subscription: subscriptionRow,
  keptEvent: keptEventRow,
  ids: idsRow,
  delivery: deliveryRow,
  functions: functionsRow,
  partition: partitionRow,
} as const;

export interface Rows {
  run: RunRow;
  subscription: SubscriptionRow;
  keptEvent: KeptEventRow;
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
