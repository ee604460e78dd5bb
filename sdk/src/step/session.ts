/**
 * The step engine: one run's handler in this process, from its (re-)entry until the run ends or is forgotten.
 *
 *               begin                      suspended, acked
 *   suspended ─────────► running ─────► ending ─────► suspended
 *                           │              └────────► ended         returned or threw, acked
 *                           └─ stop ───► stopping ──► ended         nothing new begins; results of running steps go out
 *
 * Invariants:
 *  S1  One report is on its way at most; results leave in the order in which they came.
 *  S2  A step's promise resolves only after its result is in the log (its report is acknowledged).
 *  S3  Nothing is reported for an invocation after its outcome. A step asked for later is parked until the next one.
 *  S4  The invocation ends as suspended when the handler can be waiting for the engine alone: at least one step is held
 *      there, none runs, no report is on its way, and a whole turn of the event loop passed without a step being asked
 *      for or settled. With no step held, the handler does work of its own: the invocation stays open, however long.
 *  S5  If in that state the handler got something that it has not answered by another step (see QuietTurn), it may be
 *      inside of Promise.all, or doing work of its own beside a held step: then it has `idleGraceMs` to go on.
 *  S6  Recorded results reach the handler in their order, one at a time (see Deliveries); until all have, no other step
 *      begins. If one is not asked for while others are, and nothing happens for `replayGraceMs`, the handler has left
 *      its record: NonDeterminismError.
 *  S7  A held sleep or wait that lost its races (see StepPromise) is no reason to end the invocation. It is withdrawn when
 *      the invocation ends as suspended for another, and asked for again once somebody else waits for it.
 *  S8  A strict function's invocation yields once the steps that it began are through (see Pace); results reach it next.
 */
import { LIMITS, type InvocationOutcome, type MemoEntry, type StepOp } from "@eddy/schemas";
import type { EddyEvent } from "../define/event-type.js";
import { NonRetriableError } from "../errors/user-errors.js";
import type { WorkerClock } from "./clock.js";
import { inStep } from "./current-step.js";
import { Deliveries } from "./deliveries.js";
import { askedAsAnotherKind, askedForAnother } from "./left-record.js";
import { stepsAskedBefore, type Graces, type Invocation, type StopReason } from "./invocation.js";
import { Outbox } from "./outbox.js";
import { endOf, handlerReturned, handlerThrew, isCompleted, stepReturned, stepThrew } from "./outcomes.js";
import { Pace } from "./pace.js";
import { QuietTurn } from "./quiet-turn.js";
import { receivedEvent } from "./received-event.js";
import type { RunMemory } from "./run-memory.js";
import { requestOf, StepCall, StepIds, type StepSpec } from "./step-call.js";
import { Races } from "./step-promise.js";

export interface SessionDeps {
  readonly runId: string;
  readonly memory: RunMemory;
  readonly clock: WorkerClock;
  readonly graces: Graces;
  /** Does it yield after each step? */
  readonly isStrict: boolean;
  /** The handler returned without these, which it had come to before it was entered here. */
  readonly onStepsLeft: (stepIds: readonly string[]) => void;
  /** Calls the handler. `session` is what it may ask. */
  readonly enter: (session: Session) => Promise<unknown>;
}

type Phase = "suspended" | "running" | "ending" | "stopping" | "ended";
/** Of a run that is no longer here. */
const NEVER = new Promise<never>(() => undefined);

export class Session {
  readonly event: EddyEvent;
  readonly memory: RunMemory;
  readonly #deps: SessionDeps;
  readonly #ids = new StepIds();
  readonly #calls = new Map<string, StepCall>();
  readonly #controller = new AbortController();
  readonly #races = new Races(() => this.#touch());
  readonly #quiet: QuietTurn;
  readonly #pace: Pace;
  readonly #deliveries: Deliveries;
  /** Entries of the memory that were given to `deliveries`. */
  #taken = 0;
  /** Steps that the handler had asked for before it was entered here, and has not come to again. */
  #former: Set<string> = new Set();
  #phase: Phase = "suspended";
  #isEntered = false;
  #invocation: Invocation | null = null;
  readonly #outbox = new Outbox();
  #isReporting = false;
  /** Are results of running steps still worth reporting? */
  #keepsResults = true;
  /** How the handler ended; reported by the invocation that is current then, or the next. */
  #end: InvocationOutcome | null = null;
  #cancelGrace: () => void = () => undefined;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    this.memory = deps.memory;
    this.event = receivedEvent(deps.memory.event);
    this.#deliveries = new Deliveries({
      isAsked: ({ stepId }) => this.#calls.has(stepId),
      deliver: (entry) => this.#deliver(entry),
      onEmpty: () => this.#takeUpParked(),
    });
    this.#pace = new Pace(deps.isStrict);
    this.#quiet = new QuietTurn(deps.clock, () => this.#onQuiet());
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }
  /** Does the handler still walk over what it did before? */
  get isReplaying(): boolean {
    return this.#former.size > 0;
  }
  /** Is a failed step of this handler to be tried again? Then the handler is better re-entered (its `attempt` counts). */
  hasRetryDue(pending: ReadonlySet<string> | null): boolean {
    return this.#held.some(({ id, spec }) => spec.kind === "run" && pending?.has(id) !== true && !this.memory.get(id));
  }

  /** Starts or goes on with the handler. Only while suspended; `memory` has all that is recorded. */
  begin(invocation: Invocation): void {
    if (this.#phase !== "suspended") throw new Error(`cannot begin an invocation while ${this.#phase}`);
    this.#invocation = invocation;
    this.#phase = "running";
    this.#quiet.reset();
    this.#pace.reset();
    if (this.#isEntered) this.#resume();
    else this.#enter();
    this.#takeIn();
    this.#touch();
  }

  /**
   * Ends the invocation without an outcome. Steps that run go on to their end; `ended` is called when they are through.
   * A suspended session is dropped. Idempotent.
   */
  stop(reason: StopReason): void {
    const isOver = reason === "aborted" || reason === "leaseLost" || reason === "superseded";
    if (isOver) this.#controller.abort(new Error(`the run is no longer this worker's: ${reason}`));
    if (reason === "aborted" || reason === "superseded" || reason === "refused") this.#keepsResults = false;
    if (this.#phase === "suspended") this.#phase = "ended";
    if (this.#phase === "running") this.#phase = "stopping";
    this.#deliveries.stop();
    this.#touch();
  }

  /** What the handler's step tools call. @throws NonRetriableError for an id that cannot be. */
  ask(given: string, spec: StepSpec): Promise<unknown> {
    if (this.#phase === "ended" || this.#phase === "stopping" || this.#end !== null) return NEVER;
    const call = new StepCall(this.#ids.next(given), spec, this.#races);
    if (this.#calls.size >= LIMITS.stepsPerRunMax) {
      this.#conclude(handlerThrew(new NonRetriableError(`a run has at most ${LIMITS.stepsPerRunMax} steps`)));
      return NEVER;
    }
    this.#calls.set(call.id, call);
    this.#cancelGrace();
    this.#quiet.asked();
    if (this.memory.get(call.id) !== undefined) call.state = "held";
    else this.#former.delete(call.id);
    this.#deliveries.pump();
    this.#takeUpParked();
    return call.promise;
  }

  get #held(): StepCall[] {
    return [...this.#calls.values()].filter((call) => call.state === "held");
  }
  #some(state: StepCall["state"]): boolean {
    return [...this.#calls.values()].some((call) => call.state === state);
  }

  #touch(): void {
    this.#cancelGrace();
    this.#quiet.touch();
  }

  #enter(): void {
    this.#isEntered = true;
    this.#former = stepsAskedBefore(this.#current, this.memory);
    this.#quiet.got();
    void Promise.resolve()
      .then(() => this.#deps.enter(this))
      .then(
        (value) => this.#conclude(handlerReturned(value)),
        (error: unknown) => this.#conclude(handlerThrew(error)),
      );
  }

  #resume(): void {
    for (const call of this.#held) if (this.memory.get(call.id) === undefined) this.#takeUp(call);
  }

  /** Hands over what was recorded since the last time. */
  #takeIn(): void {
    const fresh = [...this.memory.entries()].slice(this.#taken);
    this.#taken += fresh.length;
    this.#deliveries.add(fresh);
    this.#takeUpParked();
  }

  #takeUpParked(): void {
    for (const call of this.#calls.values()) {
      // Taking one up may stop the invocation.
      if (this.#phase !== "running" || this.#end !== null || !this.#deliveries.isEmpty) return;
      if (call.state === "parked") this.#takeUp(call);
    }
  }

  #takeUp(call: StepCall): void {
    const invocation = this.#current;
    const isHeld = invocation.pending?.has(call.id) === true;
    if (call.spec.kind === "run" && !isHeld) return this.#start(call, call.spec.fn);
    // Asked for again by each invocation that does not know better: the engine ignores what it holds already.
    if (isHeld) call.state = "held";
    else if (invocation.withdrawn?.has(call.id) === true) call.state = "withdrawn";
    else this.#request(call);
  }

  #request(call: StepCall): void {
    call.state = "held";
    const request = requestOf(call, this.event);
    if (request !== null) this.#outbox.push(request);
  }

  #deliver(entry: MemoEntry): void {
    this.#former.delete(entry.stepId);
    const call = this.#calls.get(entry.stepId);
    if (call === undefined || this.#phase !== "running" || this.#end !== null) return;
    if (entry.kind !== call.spec.kind) {
      return this.#conclude(handlerThrew(askedAsAnotherKind(call.id, call.spec.kind, entry.kind)));
    }
    const isNews = !call.isLost;
    try {
      call.settle(entry);
    } catch (cause) {
      const message = `what is recorded of step ${JSON.stringify(call.id)} cannot be read`;
      return this.#conclude(handlerThrew(new NonRetriableError(message, { cause })));
    }
    if (isNews) this.#quiet.got();
    else this.#touch();
  }

  #start(call: StepCall, fn: () => unknown): void {
    if (!this.#pace.mayStart) return; // Parked until the next invocation.
    const reason = this.#current.heldBack();
    if (reason !== null) return this.stop(reason);
    call.state = "running";
    this.#former.clear();
    this.#pace.started();
    const { runId } = this.#deps;
    const { stepAttempts, maxAttempts } = this.#current;
    const step = {
      runId,
      stepId: call.id,
      idempotencyKey: `${runId}/${call.id}`,
      attempt: stepAttempts.get(call.id) ?? 0,
      maxAttempts,
      signal: this.signal,
    };
    void Promise.resolve()
      .then(() => inStep(step, fn))
      .then(
        (result) => this.#onStepEnded(call, stepReturned(call.id, result)),
        (error: unknown) => this.#onStepEnded(call, stepThrew(call.id, error)),
      );
  }

  #onStepEnded(call: StepCall, op: StepOp): void {
    this.#pace.ended(isCompleted(op));
    const isKept = !isCompleted(op) || this.#keepsResults;
    if (isKept) this.#outbox.push(op);
    // A result is on its way until the log has it.
    if (!isCompleted(op) || !isKept) call.state = "held";
    this.#touch();
  }

  /** The handler ended, or must not go on. The first conclusion counts. */
  #conclude(end: InvocationOutcome): void {
    this.#end ??= end;
    this.#touch();
  }

  get #current(): Invocation {
    if (this.#invocation === null) throw new Error("no invocation has begun");
    return this.#invocation;
  }

  #onQuiet(): void {
    if (this.#isReporting) return;
    if (this.#phase === "stopping") return this.#windDown();
    if (this.#phase !== "running") return;
    if (this.#end !== null) return this.#finish(this.#end);
    if (this.#pace.yields) return this.#yield();
    const { idleGraceMs, replayGraceMs } = this.#deps.graces;
    const isReplayed = this.#deliveries.isEmpty;
    if (isReplayed) this.#askAgain();
    const isBlocked = isReplayed && !this.#some("running") && !this.#some("parked") && this.#waits;
    if (isBlocked && this.#quiet.isEven) return this.#suspend();
    if (!this.#outbox.isEmpty) return this.#report(this.#outbox.take(), null);
    if (isBlocked) this.#afterGrace(idleGraceMs, () => this.#suspend());
    else if (!isReplayed && this.#heldBack !== undefined) this.#afterGrace(replayGraceMs, () => this.#leftRecord());
  }

  /** Is there a held step that matters? */
  get #waits(): boolean {
    return this.#held.some(({ isLost }) => !isLost);
  }
  /** The first step that is asked for and must wait until other recorded ones are. */
  get #heldBack(): StepCall | undefined {
    return [...this.#calls.values()].find(
      ({ id, state }) => state === "parked" || (state === "held" && this.memory.get(id) !== undefined),
    );
  }

  /** What was withdrawn begins anew where somebody has come to wait for it. */
  #askAgain(): void {
    for (const call of this.#calls.values()) {
      if (call.state === "withdrawn" && call.promise.isWanted) this.#request(call);
    }
  }

  /** Calls back after `ms` without a step asked for or settled. */
  #afterGrace(ms: number, then: () => void): void {
    this.#cancelGrace();
    this.#cancelGrace = this.#deps.clock.after(ms, then);
  }

  #suspend(): void {
    this.#askAgain();
    if (this.#outbox.overflows) return this.#report(this.#outbox.take(), null);
    const lost = this.#held.filter((call) => call.isLost);
    for (const call of lost) {
      call.state = "withdrawn";
      this.#outbox.drop(call.id);
    }
    const withdrawn = lost.map(({ id }): StepOp => ({ kind: "withdrawn", stepId: id }));
    this.#report([...withdrawn, ...this.#outbox.take()], { kind: "suspended" });
  }

  #yield(): void {
    const ops = this.#outbox.take();
    this.#report(ops, this.#outbox.isEmpty ? { kind: "yielded" } : null);
  }

  #finish(end: InvocationOutcome): void {
    if (this.#outbox.overflows) return this.#report(this.#outbox.take(), null);
    const left = [...this.#former].filter((stepId) => !this.#calls.has(stepId));
    if (end.kind === "returned" && left.length > 0) this.#deps.onStepsLeft(left);
    if (this.#some("running")) this.#controller.abort(new Error("the handler ended without waiting for this step"));
    this.#report(this.#outbox.take().filter(isCompleted), end);
  }

  #leftRecord(): void {
    const recorded = this.#deliveries.next?.stepId ?? "";
    const asked = this.#heldBack?.id ?? "";
    this.#conclude(handlerThrew(askedForAnother(asked, recorded)));
  }

  /** After `stop`: what running steps came to is still reported, then the invocation is over. */
  #windDown(): void {
    const results = this.#outbox.take().filter(isCompleted);
    if (results.length > 0 && this.#keepsResults) return this.#report(results, null);
    this.#letGo(results);
    if (this.#some("running")) return;
    this.#phase = "ended";
    this.#current.ended("released");
  }

  #report(ops: readonly StepOp[], outcome: InvocationOutcome | null): void {
    this.#isReporting = true;
    if (outcome !== null) this.#phase = "ending";
    void this.#current.report(ops, outcome).then(
      () => this.#onAcknowledged(ops, outcome),
      () => this.#onRefused(ops),
    );
  }

  #onAcknowledged(ops: readonly StepOp[], outcome: InvocationOutcome | null): void {
    this.#isReporting = false;
    const { no } = this.#current;
    for (const { stepId, data } of ops.filter(isCompleted)) {
      this.memory.add({ stepId, kind: "run", data, error: null, invocation: no });
    }
    this.#letGo(ops);
    this.#touch();
    if (outcome === null) {
      this.#pace.goesOn();
      return this.#takeIn();
    }
    const end = endOf(outcome);
    this.#phase = end === "suspended" ? "suspended" : "ended";
    this.#current.ended(end);
  }

  /** These results are no longer on their way. */
  #letGo(ops: readonly StepOp[]): void {
    for (const { stepId } of ops.filter(isCompleted)) {
      const call = this.#calls.get(stepId);
      if (call !== undefined) call.state = "held"; // Where it was acknowledged: until it is delivered.
    }
  }

  /** The gateway takes no report of this invocation: it is over here. */
  #onRefused(ops: readonly StepOp[]): void {
    this.#isReporting = false;
    this.#letGo(ops);
    if (this.#phase === "ending") this.#phase = "running";
    this.stop("refused");
  }
}
