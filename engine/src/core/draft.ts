/**
 * A decision in the making: every change is applied at once to a scratch layer above the view, so that what follows in
 * the same decision sees it. The scratch is thrown away; the task applies the same changes to its overlay.
 */
import { LIMITS, type Cause, type ErrorShape, type InboxRecord, type RowKind, type Source } from "@eddy/schemas";
import { invariant } from "@eddy/clients/errors";
import type { Change } from "./changes.js";
import type { Decision } from "./decision.js";
import type { Effect, Rejection } from "./effects.js";
import { evolve } from "./evolve.js";
import type { Moment } from "./inputs.js";
import { FUNCTIONS_KEY, guestKey, PARTITION_KEY, runKey, subscriptionKey, type RowKey } from "./state/keys.js";
import type { IndexRange, PastEvent, PastRange, Row, RowView, RowWriter } from "./state/view.js";

export class Draft implements RowWriter, Decision {
  readonly changes: Change[] = [];
  readonly effects: Effect[] = [];
  readonly rejections: Rejection[] = [];
  readonly #scratch = new Map<RowKey, Row | null>();

  constructor(
    private readonly view: RowView,
    readonly moment: Moment,
  ) {}

  get<K extends RowKind>(key: RowKey<K>): Row<K> | null {
    const own = this.#scratch.get(key);
    return own === undefined ? this.view.get(key) : (own as Row<K> | null);
  }
  put<K extends RowKind>(key: RowKey<K>, row: Row<K>): void {
    this.#scratch.set(key, row as Row);
  }
  delete(key: RowKey): void {
    this.#scratch.set(key, null);
  }
  indexValue(key: string): string | null {
    return this.view.indexValue(key);
  }
  scanIndex(range: IndexRange): readonly (readonly [key: string, value: string])[] {
    return this.view.scanIndex(range);
  }

  pastEvents(range: PastRange): readonly PastEvent[] {
    return this.view.pastEvents(range);
  }

  /** Records a fact; reads see it from here on. */
  emit(change: Change): void {
    this.changes.push(change);
    evolve(this, change);
  }

  /** The cause that the next effect will get. */
  nextCause(): Cause {
    return { offset: this.moment.offset, index: this.moment.effectIndex + this.effects.length };
  }
  effect(effect: Effect): void {
    this.effects.push(effect);
  }
  /** To an inbox, of another partition or this one; the source is that of this very effect. */
  append(partition: number, make: (source: Source) => InboxRecord): void {
    const { offset, index } = this.nextCause();
    const source = { partition: this.moment.partition, offset, index };
    this.effects.push({ kind: "AppendInbox", partition, record: make(source) });
  }
  reject(code: Rejection["code"], detail: string): void {
    this.rejections.push({ code, detail });
  }

  /** @param runId or its base. @throws InvariantViolation if there is no such run: callers know that it lives. */
  run(runId: string): Row<"run"> {
    const run = this.get(runKey(runId));
    invariant(run !== null, "a live run has a row", { runId });
    return run;
  }
  /** The run of exactly this id; null where none lives, or one of another life. */
  liveRun(runId: string): Row<"run"> | null {
    const run = this.get(runKey(runId));
    return run?.runId === runId ? run : null;
  }
  /** Callers know that it is here. */
  guest(base: string): Row<"guest"> {
    const guest = this.get(guestKey(base));
    invariant(guest !== null, "a guest has a row", { base });
    return guest;
  }
  functions(): Row<"functions"> {
    return functionsOf(this);
  }
  partitionRow(): Row<"partition"> {
    return partitionRowOf(this);
  }
  /** The entries that listen at a route key, in the order in which they came; [] where nobody does. */
  listeners(routeKey: string): Row<"subscription">["entries"] {
    const head = this.get(subscriptionKey(routeKey, 0));
    if (head === null) return [];
    if (head.tail === 0) return head.entries;
    const all = [...head.entries];
    for (let chunk = 1; chunk <= head.tail; chunk++) {
      all.push(...(this.get(subscriptionKey(routeKey, chunk))?.entries ?? []));
    }
    invariant(all.length <= LIMITS.subscriptionsPerKeyMax, "listeners of a key are bounded", { routeKey });
    return all;
  }
}

type Reader = Pick<RowView, "get">;

export function functionsOf(rows: Reader): Row<"functions"> {
  const row = rows.get(FUNCTIONS_KEY);
  invariant(row !== null, "a partition has a functions row from its first takeover on");
  return row;
}

export function partitionRowOf(rows: Reader): Row<"partition"> {
  const row = rows.get(PARTITION_KEY);
  invariant(row !== null, "a partition has a partition row from its first takeover on");
  return row;
}

/** An error that the engine itself gives to a run. */
export function engineError(name: string, message: string): ErrorShape {
  return { name, message, stack: null };
}
