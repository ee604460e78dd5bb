/** One step that a handler asked for, in this process. */
import { canonAt, LIMITS, listenRouteOf, type MemoEntry, type Since, type StepOp, type Timeout } from "@eddy/schemas";
import { NonRetriableError, StepError } from "../errors/user-errors.js";
import { decodeJson } from "../protocol/json.js";
import { receivedEvent } from "./received-event.js";
import { StepPromise, type Races } from "./step-promise.js";

/** What the handler wants. */
export type StepSpec =
  | { readonly kind: "run"; readonly fn: () => unknown }
  | { readonly kind: "sleep"; readonly until: Timeout }
  | {
      readonly kind: "wait";
      readonly event: string;
      readonly match: string | null;
      readonly if: string | null;
      readonly since: Since;
      readonly timeout: Timeout;
    };

/**
 *   parked ──► running ──► settled          parked: asked for, but nobody may act on it now
 *     │           └──► held ──► settled     running: its function runs, or its result is not in the log yet
 *     ├──► held ─────► settled              held: the engine settles it, or has it tried again
 *     │     │ ▲                             withdrawn: a sleep or wait that lost a race; the engine gave it up
 *     │     ▼ │
 *     ├──► withdrawn ──► settled            settled all the same: its event was faster
 *     └──► settled
 */
export type CallState = "parked" | "running" | "held" | "withdrawn" | "settled";

export class StepCall {
  readonly id: string;
  readonly spec: StepSpec;
  readonly promise: StepPromise;
  state: CallState = "parked";

  constructor(id: string, spec: StepSpec, races: Races) {
    this.id = id;
    this.spec = spec;
    this.promise = new StepPromise(races);
  }

  /** Settles the promise as recorded; `entry.kind` is that of the call. */
  settle(entry: MemoEntry): void {
    this.state = "settled";
    if (entry.error !== null) this.promise.fail(new StepError(this.id, entry.error));
    else this.promise.fulfil(valueOf(entry));
  }

  /** A sleep or wait that nobody waits for any more. */
  get isLost(): boolean {
    return this.spec.kind !== "run" && this.promise.isLost;
  }
}

function valueOf({ kind, data }: MemoEntry): unknown {
  if (kind === "sleep") return undefined;
  if (data === null) return null;
  return kind === "wait" ? receivedEvent(data) : decodeJson(data);
}

/** What the engine is asked to hold; null for steps that run here. `event`: the triggering event. */
export function requestOf({ id: stepId, spec }: StepCall, event: unknown): StepOp | null {
  switch (spec.kind) {
    case "run":
      return null;
    case "sleep":
      return { kind: "sleepRequested", stepId, until: spec.until };
    case "wait": {
      const { kind: _, ...wait } = spec;
      return { kind: "waitRequested", stepId, ...wait, value: canonAt(event, listenRouteOf(wait).of) };
    }
  }
}

/** Gives each use of an id its own: `mail`, `mail:1`, `mail:2`, in order of appearance. */
export class StepIds {
  readonly #used = new Set<string>();
  readonly #counts = new Map<string, number>();

  /** @throws NonRetriableError for an id that is empty or too long. */
  next(given: string): string {
    let count = this.#counts.get(given) ?? 0;
    let id = count === 0 ? given : `${given}:${count}`;
    // A user may have written `mail:1` himself.
    while (this.#used.has(id)) id = `${given}:${++count}`;
    if (id.length === 0 || id.length > LIMITS.stepIdCharsMax) {
      throw new NonRetriableError(`a step id has 1 to ${LIMITS.stepIdCharsMax} characters, this one ${id.length}`);
    }
    this.#counts.set(given, count + 1);
    this.#used.add(id);
    return id;
  }
}
