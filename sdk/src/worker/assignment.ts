/** One request that this worker has taken: its lease, and its session once that is known. */
import type { InvocationOutcome, StepOp, StepRequest } from "@eddy/schemas";
import type { Invocation, InvocationEnd, StopReason } from "../step/invocation.js";
import type { Session } from "../step/session.js";
import type { Lease } from "./lease.js";
import { splitReport } from "./split-report.js";
import type { WorkerTransport } from "./transport.js";

export interface AssignmentDeps {
  readonly transport: WorkerTransport;
  readonly lease: Lease;
  readonly isDraining: () => boolean;
  /** Told what a report says, before it is sent. */
  readonly onReport: (request: StepRequest, ops: readonly StepOp[], outcome: InvocationOutcome | null) => void;
  readonly onEnded: (assignment: Assignment, end: InvocationEnd) => void;
  /** A report was refused, or the worker closed before its acknowledgement. */
  readonly onRefused: (assignment: Assignment, error: unknown) => void;
}

export class Assignment implements Invocation {
  readonly request: StepRequest;
  readonly lease: Lease;
  readonly stepAttempts: ReadonlyMap<string, number>;
  readonly pending: ReadonlySet<string> | null;
  readonly withdrawn: ReadonlySet<string> | null;
  readonly #deps: AssignmentDeps;
  #session: Session | null = null;
  #stopped: StopReason | null = null;
  #isEnding = false;
  #hasEnded = false;

  constructor(request: StepRequest, deps: AssignmentDeps) {
    this.request = request;
    this.lease = deps.lease;
    this.stepAttempts = new Map(request.stepAttempts);
    this.pending = request.pending === undefined ? null : new Set(request.pending);
    this.withdrawn = request.withdrawn === undefined ? null : new Set(request.withdrawn);
    this.#deps = deps;
    this.lease.onLost(() => this.stop("leaseLost"));
  }

  get runId(): string {
    return this.request.runId;
  }
  get no(): number {
    return this.request.invocation;
  }
  get maxAttempts(): number {
    return this.request.maxAttempts;
  }
  get stopped(): StopReason | null {
    return this.#stopped;
  }
  /** Is its lease worth renewing? While draining, running steps still end here. */
  get wantsLease(): boolean {
    return this.#stopped === null || this.#stopped === "draining";
  }
  /** Its outcome is on its way to the log: the next request may be here before the acknowledgement is. */
  get isEnding(): boolean {
    return this.#isEnding;
  }
  get session(): Session | null {
    return this.#session;
  }

  begin(session: Session): void {
    this.#session = session;
    session.begin(this);
  }

  /** Ends the invocation without an outcome, at once where no handler runs yet. Idempotent. */
  stop(reason: StopReason): void {
    this.#stopped ??= reason;
    if (this.#session !== null) this.#session.stop(reason);
    else this.ended("released");
  }

  heldBack(): StopReason | null {
    const reason = this.#deps.isDraining() ? "draining" : this.lease.mayGoOn ? null : "leaseShort";
    if (reason !== null) this.#stopped ??= reason;
    return reason;
  }

  async report(ops: readonly StepOp[], outcome: InvocationOutcome | null): Promise<void> {
    this.#deps.onReport(this.request, ops, outcome);
    this.#isEnding = outcome !== null;
    try {
      for (const part of splitReport(ops, outcome)) {
        await this.#deps.transport.report({ runId: this.runId, invocation: this.no, ...part });
      }
    } catch (error) {
      this.#stopped ??= "refused";
      this.#deps.onRefused(this, error);
      throw error;
    }
  }

  /** An outcome that needs no session: the run cannot be worked on here. */
  async refuse(outcome: InvocationOutcome): Promise<void> {
    const end = await this.report([], outcome).then(
      () => "finished" as const,
      () => "released" as const,
    );
    this.ended(end);
  }

  ended(end: InvocationEnd): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.lease.cancel();
    this.#deps.onEnded(this, end);
  }
}
