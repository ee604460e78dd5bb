/**
 * Checkpoints: changed rows and meta in one transaction of the changelog, then the same with index entries in one batch
 * of the store. Beside the loop, one at a time: the loop goes on above the frozen changes. Never before every effect up
 * to the boundary is acknowledged, and never tried twice: after a failure the outcome is unknown.
 */
import { compareCauses, encodeMeta, encodeRow, offset, type MetaRow } from "@eddy/schemas";
import { kindOf, META_KEY, type Row, type RowKey } from "../core/index.js";
import { EddyError, invariant } from "@eddy/clients/errors";
import type { ChangelogWriter, NewRecord } from "@eddy/clients";
import type { Store } from "../ports/store.js";
import { asError } from "./deferred.js";
import type { TaskContext } from "./deps.js";
import type { EffectSender } from "./effect-sender.js";
import type { FrozenChanges, Overlay } from "./overlay.js";
import { encodePosition, POSITION_KEY } from "./store-position.js";
import type { Tally } from "./tally.js";

export interface CheckpointerDeps {
  readonly context: TaskContext;
  readonly writer: ChangelogWriter;
  readonly store: Store;
  readonly overlay: Overlay;
  readonly sender: EffectSender;
  /** Of the changelog. */
  readonly topicId: string;
  /** Told once, when a checkpoint has failed. */
  readonly onFailure: (error: Error) => void;
}

/** What a takeover would repeat. */
interface Work {
  rows: number;
  records: number;
  bytes: number;
}
const NO_WORK: Readonly<Work> = { rows: 0, records: 0, bytes: 0 };
const text = new TextEncoder();

export class Checkpointer {
  readonly #deps: CheckpointerDeps;
  /** Since the last freeze; `rows` is the overlay's to tell. */
  #fresh: Work = { ...NO_WORK };
  /** Of the checkpoint under way. */
  #frozen: Readonly<Work> = NO_WORK;
  /** The boundary is not where the last checkpoint's was. */
  #moved = false;
  #running: Promise<void> | null = null;
  #failure: Error | null = null;
  #lastAtMs: number;
  #completed = 0;
  /** When the first was done of what no checkpoint has: of what was done since the freeze, and of what is frozen. */
  #freshSinceMs: number | null = null;
  #frozenSinceMs: number | null = null;

  constructor(deps: CheckpointerDeps) {
    this.#deps = deps;
    this.#lastAtMs = deps.context.clock.nowMs();
  }

  /** Checkpoints that succeeded. */
  get completed(): number {
    return this.#completed;
  }
  /** Since when there is something that no checkpoint has, by our clock; null: there is nothing. */
  get unsavedSinceMs(): number | null {
    return this.#frozenSinceMs ?? this.#freshSinceMs;
  }
  /** Is there anything that a checkpoint would save? */
  get isNeeded(): boolean {
    return this.#moved || this.#deps.overlay.changedRows > 0;
  }

  /** A record was applied, or, with 0 records, a turn of a flood of timers. */
  note(records: number, bytes: number): void {
    this.#moved = true;
    this.#freshSinceMs ??= this.#deps.context.clock.nowMs();
    this.#fresh.records += records;
    this.#fresh.bytes += bytes;
  }

  /** Should one start now? Early enough that the next one need not wait for it under even load. */
  isDue(nowMs: number): boolean {
    if (this.#running !== null || !this.isNeeded) return false;
    return nowMs - this.#lastAtMs >= this.#options.checkpointEveryMs || this.#reaches(NO_WORK, 0.5);
  }
  /** A takeover would repeat as much as it may: no further record before the one under way is done. */
  get mustWait(): boolean {
    return this.#running !== null && this.#reaches(this.#frozen, 1);
  }
  /** When `isDue` should be asked again, if nothing is applied meanwhile; null: never. */
  nextAtMs(nowMs: number): number | null {
    if (!this.isNeeded) return null;
    const atMs = this.#lastAtMs + this.#options.checkpointEveryMs;
    return this.#running !== null && atMs <= nowMs ? nowMs + this.#options.checkpointEveryMs : atMs;
  }

  /**
   * Freezes at the boundary that `meta` names; the rest happens beside the loop.
   * @param tally of what was decided since the last boundary: told once the checkpoint is done.
   */
  start(meta: MetaRow, tally: Tally): void {
    invariant(this.#running === null, "one checkpoint at a time");
    const { overlay, context, sender } = this.#deps;
    this.#frozen = { ...this.#fresh, rows: overlay.changedRows };
    this.#fresh = { ...NO_WORK };
    this.#moved = false;
    this.#lastAtMs = context.clock.nowMs();
    this.#frozenSinceMs = this.#freshSinceMs;
    this.#freshSinceMs = null;
    const frozen = overlay.freeze();
    this.#running = this.#write(frozen, meta, sender.cut())
      .then(() => {
        this.#completed++;
        this.#frozen = NO_WORK;
        this.#frozenSinceMs = null;
        this.#running = null;
        tally.tell(context);
      })
      .catch((error: unknown) => {
        this.#failure = asError(error);
        const code = error instanceof EddyError ? error.code : "OTHER";
        context.meter.count("eddy_checkpoint_failures_total", 1, { code });
        this.#deps.onFailure(this.#failure);
      });
  }

  /** Resolves when none is under way. @throws what it failed with */
  async settled(): Promise<void> {
    if (this.#running !== null) await this.#running;
    if (this.#failure !== null) throw this.#failure;
  }
  /** The same without throwing: for closing. */
  async ended(): Promise<void> {
    if (this.#running !== null) await this.#running;
  }

  async #write(frozen: FrozenChanges, meta: MetaRow, acknowledged: Promise<void>): Promise<void> {
    const { writer, store, overlay, sender, topicId, context } = this.#deps;
    const startedAtMs = context.clock.nowMs();
    const records = frozen.rows.map(([key, row]) => ({ key, value: row === null ? null : encodeStored(key, row) }));
    await acknowledged;
    const lowest = sender.lowestUnacked();
    const boundary = { offset: offset(meta.nextOffset), index: meta.index };
    invariant(
      lowest === null || compareCauses(lowest, boundary) >= 0,
      "a checkpoint never passes an effect that is not acknowledged",
      { lowest, boundary },
    );
    const metaBytes = encodeMeta(meta);
    const changelogOffset = await writer.commit([...records, { key: META_KEY, value: metaBytes }]);
    const { holdings } = frozen;
    const position = { changelogOffset, topicId, completeAtMs: context.clock.nowMs(), holdings };
    const puts: [string, Uint8Array][] = [
      [META_KEY, metaBytes],
      [POSITION_KEY, encodePosition(position)],
    ];
    const deletes = [...frozen.indexRemoved];
    for (const { key, value } of records) {
      if (value === null) deletes.push(key);
      else puts.push([key, value]);
    }
    for (const [key, value] of frozen.indexAdded) puts.push([key, text.encode(value)]);
    await store.write({ puts, deletes });
    overlay.thaw(sizesOf(records));
    const { meter } = context;
    meter.count("eddy_checkpoints_total", 1);
    meter.observe("eddy_checkpoint_rows", records.length);
    meter.observe("eddy_checkpoint_seconds", (context.clock.nowMs() - startedAtMs) / 1_000);
  }

  /** Has the work since the last freeze, with `other`, come to this part of what a takeover may repeat? */
  #reaches(other: Readonly<Work>, part: number): boolean {
    const rows = this.#deps.overlay.changedRows;
    if (rows === 0) return false;
    const { changedRowsMax, recordsMax, recordBytesMax } = this.#options;
    return (
      rows + other.rows >= changedRowsMax * part ||
      this.#fresh.records + other.records >= recordsMax * part ||
      this.#fresh.bytes + other.bytes >= recordBytesMax * part
    );
  }
  get #options(): TaskContext["options"] {
    return this.#deps.context.options;
  }
}

function encodeStored(key: RowKey, row: Row): Uint8Array {
  const kind = kindOf(key);
  invariant(kind !== null, "a row key carries its kind", { key });
  return encodeRow(kind, row as never); // the key's kind is the row's
}

function sizesOf(records: readonly NewRecord[]): (key: RowKey) => number {
  const sizes = new Map(records.map(({ key, value }) => [key, value?.length ?? 0]));
  return (key) => sizes.get(key) ?? 0;
}
