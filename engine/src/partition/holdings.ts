/**
 * How much a partition holds: live runs, open waits and timers, for operators alone; nothing is decided by it.
 *
 * A function of the rows, kept beside them as they change and stored with the store's position, so that it is right at
 * once after a restart and after a restore, and asking costs nothing.
 */
import type { RunRow } from "@eddy/schemas";
import { isKind, type IndexDiff, type Row, type RowKey } from "../core/index.js";

/** Of one function, on one partition. */
export interface FunctionHoldings {
  readonly app: string;
  /** Live runs. */
  runs: number;
  /** Of those, the ones that a worker has, or is to get. */
  executing: number;
  /** Of those, the ones that no heartbeat of a worker has named yet: they wait for a free slot, or began just now. */
  untaken: number;
  waits: number;
  sleeps: number;
}

/** As JSON has it. Functions that hold nothing are left out. */
export interface StoredHoldings {
  readonly timers: number;
  readonly functions: readonly (readonly [functionId: string, holdings: FunctionHoldings])[];
}

export const NO_HOLDINGS: StoredHoldings = { timers: 0, functions: [] };

const TIMER_LETTER = "t";

export class Holdings {
  #timers: number;
  readonly #functions: Map<string, FunctionHoldings>;

  constructor(stored: StoredHoldings = NO_HOLDINGS) {
    this.#timers = stored.timers;
    this.#functions = new Map(stored.functions.map(([functionId, held]) => [functionId, { ...held }]));
  }

  /** Told of each change of a row, with what it does to the indexes. */
  changed(key: RowKey, before: Row | null, after: Row | null, diff: IndexDiff): void {
    for (const entry of diff.removed) if (entry.startsWith(TIMER_LETTER)) this.#timers -= 1;
    for (const [entry] of diff.added) if (entry.startsWith(TIMER_LETTER)) this.#timers += 1;
    if (!isKind(key, "run")) return;
    const [was, is] = [before as Row<"run"> | null, after as Row<"run"> | null];
    if (was?.pending === is?.pending && was?.invocation === is?.invocation) return;
    if (was !== null) this.#add(was, -1);
    if (is !== null) this.#add(is, 1);
  }

  get timers(): number {
    return this.#timers;
  }
  get functions(): Iterable<readonly [functionId: string, holdings: Readonly<FunctionHoldings>]> {
    return this.#functions;
  }

  /** As of now: what changes later does not change it. */
  stored(): StoredHoldings {
    return {
      timers: this.#timers,
      functions: [...this.#functions].map(([functionId, held]) => [functionId, { ...held }] as const),
    };
  }

  #add({ app, functionId, pending, invocation }: Row<"run">, by: 1 | -1): void {
    let held = this.#functions.get(functionId);
    if (held === undefined) {
      held = { app, runs: 0, executing: 0, untaken: 0, waits: 0, sleeps: 0 };
      this.#functions.set(functionId, held);
    }
    held.runs += by;
    if (invocation.cause !== null) {
      held.executing += by;
      if (invocation.leaseUntilMs === null) held.untaken += by;
    }
    for (const item of pending) {
      if (isWait(item)) held.waits += by;
      else if (item.kind === "sleep") held.sleeps += by;
    }
    if (held.runs === 0) this.#functions.delete(functionId);
  }
}

function isWait({ kind }: RunRow["pending"][number]): boolean {
  return kind === "wait" || kind === "foreignWait";
}

/** @returns null for anything else than `StoredHoldings` as JSON has it. */
export function parseHoldings(given: unknown): StoredHoldings | null {
  const { timers, functions } = (given ?? {}) as Partial<Record<keyof StoredHoldings, unknown>>;
  if (typeof timers !== "number" || !Array.isArray(functions)) return null;
  const isWhole = functions.every((entry: unknown) => {
    const [functionId, held] = Array.isArray(entry) ? (entry as unknown[]) : [];
    const { app, ...counts } = (held ?? {}) as Record<string, unknown>;
    return (
      typeof functionId === "string" && typeof app === "string" && COUNTS.every((c) => Number.isInteger(counts[c]))
    );
  });
  return isWhole ? { timers, functions: functions as StoredHoldings["functions"] } : null;
}

const COUNTS = ["runs", "executing", "untaken", "waits", "sleeps"] as const;
