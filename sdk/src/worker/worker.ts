/**
 * A worker of one app: takes requests, finds or rebuilds their handlers, keeps leases alive, lets go in order.
 *
 * Invariants:
 *  W1  A request whose invocation is not newer than the last one seen of its run is dropped.
 *  W2  At most `slots` invocations work at once; what a lost connection brings beyond that waits in order.
 *  W3  A suspended handler goes on only with the request right after the invocation that suspended it, and only if what
 *      it has recorded is what the engine has. In any other case the handler is re-entered from recorded results.
 *      A request that overtakes the acknowledgement of the outcome before it waits for that.
 *  W4  Every request ends with an acknowledged outcome or with `release`.
 */
import { functionIdOf, type AppConfig, type InvocationOutcome, type StepRequest } from "@eddy/schemas";
import { LRUCache } from "lru-cache";
import type { EddyFunction } from "../define/eddy-function.js";
import type { Logger } from "../define/logger.js";
import type { WorkerClock } from "../step/clock.js";
import { enterHandler } from "../step/enter-handler.js";
import type { Graces, InvocationEnd } from "../step/invocation.js";
import { RunMemory } from "../step/run-memory.js";
import { Session } from "../step/session.js";
import type { SendFromStep } from "../step/step-send.js";
import { Assignment } from "./assignment.js";
import { Lease } from "./lease.js";
import { tellFailures, tellStepsLeft } from "./tell-failures.js";
import type { WorkerTerms, WorkerTransport } from "./transport.js";

export interface WorkerOptions extends Graces {
  readonly app: string;
  readonly functions: readonly EddyFunction[];
  readonly workerId: string;
  /** Invocations at once. */
  readonly slots: number;
  /** Suspended handlers kept for their next invocation. */
  readonly suspendedMax: number;
  /** How long `close` waits for running steps and acknowledgements, in ms. */
  readonly drainMs: number;
}

export interface WorkerDeps {
  readonly transport: WorkerTransport;
  readonly clock: WorkerClock;
  readonly logger: Logger;
  /** What `step.sendEvent` sends with. */
  readonly send: SendFromStep;
  readonly onConnected?: () => void;
  readonly onDisconnected?: () => void;
}

/** What is kept of a run between its invocations. */
interface Rest {
  readonly invocation: number;
  readonly memory: RunMemory;
  /** null where the handler has to be re-entered: it threw. */
  readonly session: Session | null;
}

/** Turns of the event loop in which a stopped session ends that runs nothing. */
const LETTING_GO_TURNS = 3;
/** Runs whose last invocation is remembered, for W1. */
const SEEN_RUNS_MAX = 100_000;

export class Worker {
  readonly #options: WorkerOptions;
  readonly #deps: WorkerDeps;
  readonly #functions: ReadonlyMap<string, EddyFunction>;
  /** By run id: what this worker has now, working or waiting for a slot. */
  readonly #assigned = new Map<string, Assignment>();
  readonly #waiting: Assignment[] = [];
  /** Those that wait for the one before of the same run to end, by that one. */
  readonly #next = new Map<Assignment, Assignment>();
  readonly #rests: LRUCache<string, Rest>;
  readonly #seen = new LRUCache<string, number>({ max: SEEN_RUNS_MAX });
  readonly #working = new Set<Assignment>();
  #terms: WorkerTerms | null = null;
  #isDraining = false;
  #cancelBeat: () => void = () => undefined;
  #onIdle: (() => void) | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: WorkerOptions, deps: WorkerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#functions = new Map(options.functions.map((fn) => [functionIdOf(options.app, fn.id), fn]));
    this.#rests = new LRUCache({ max: options.suspendedMax });
  }

  /** Resolves when the registration is in force and requests may come. @throws ConnectError */
  start(): Promise<void> {
    const { app, functions, workerId, slots } = this.#options;
    const config: AppConfig = { app, functions: functions.map((fn) => fn.config) };
    return this.#deps.transport.start(
      { workerId, config, slots },
      {
        onRequest: (request) => this.#onRequest(request),
        onAbort: (runId) => this.#onAbort(runId),
        onConnected: (terms) => this.#onConnected(terms),
        onDisconnected: () => this.#deps.onDisconnected?.(),
      },
    );
  }

  /** Invocations that this worker has. */
  get running(): number {
    return this.#assigned.size;
  }

  /**
   * Takes no more requests, lets running steps end and their results be acknowledged, for `drainMs` at most, then closes
   * the transport. A run is given back as soon as none of its steps runs, instead of the next; what runs still at the end
   * is delivered again elsewhere when its lease is over. Idempotent; never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { transport, clock, logger } = this.#deps;
    this.#isDraining = true;
    transport.drain();
    for (const waiting of [...this.#waiting.splice(0), ...this.#next.values()]) waiting.stop("draining");
    if (this.#assigned.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(this.#options.drainMs, resolve);
        this.#onIdle = () => {
          cancel();
          resolve();
        };
      });
    }
    if (this.#assigned.size > 0) await this.#giveBackHandlers();
    if (this.#assigned.size > 0) {
      logger.warn({ app: this.#options.app, runs: this.#assigned.size }, "closing with steps still running");
    }
    this.#cancelBeat();
    await transport.close([...this.#assigned.values()].map(({ runId, no }) => ({ runId, invocation: no })));
    for (const left of this.#assigned.values()) {
      left.stop("refused");
      left.lease.cancel();
    }
    for (const { session } of this.#rests.values()) session?.stop("draining");
    this.#rests.clear();
  }

  /**
   * Runs of which no step is running go on elsewhere at once, whatever their handlers still do between steps; what does
   * run would run twice, so it waits for the end of its lease.
   */
  async #giveBackHandlers(): Promise<void> {
    for (const left of [...this.#assigned.values()]) left.stop("draining");
    // A session lets go after a whole quiet turn.
    for (let turn = 0; turn < LETTING_GO_TURNS; turn += 1) {
      await new Promise<void>((resolve) => this.#deps.clock.nextTurn(resolve));
    }
  }

  #onConnected(terms: WorkerTerms): void {
    this.#terms = terms;
    this.#deps.onConnected?.();
    this.#beat();
  }

  /** Renews the leases of what is here, now and every `heartbeatMs`. An empty one tells too: no slot is taken here. */
  #beat(): void {
    const { transport, clock, logger } = this.#deps;
    this.#cancelBeat();
    if (this.#terms === null) return;
    this.#cancelBeat = clock.after(this.#terms.heartbeatMs, () => this.#beat());
    const beating = [...this.#assigned.values()].filter(({ wantsLease }) => wantsLease);
    const sentAtMs = clock.nowMs();
    transport.heartbeat(beating.map(({ runId, no }) => ({ runId, invocation: no }))).then(
      () => {
        for (const { lease } of beating) lease.renew(sentAtMs);
      },
      (err: unknown) => logger.debug({ err, app: this.#options.app }, "a heartbeat was not acknowledged"),
    );
  }

  #onRequest(request: StepRequest): void {
    const { runId, invocation } = request;
    const { transport, clock } = this.#deps;
    const current = this.#assigned.get(runId);
    if (invocation <= (this.#seen.get(runId) ?? 0)) {
      // The one that runs here still has its slot; any other is no work for anyone.
      if (current?.no !== invocation) transport.release({ runId, invocation });
      return;
    }
    this.#seen.set(runId, invocation);
    const assignment = new Assignment(request, {
      transport,
      lease: new Lease(clock, this.#terms?.leaseMs ?? 0),
      isDraining: () => this.#isDraining,
      onReport: (told, ops, outcome) => tellFailures(this.#deps.logger, told, ops, outcome),
      onEnded: (ended, end) => this.#onEnded(ended, end),
      onRefused: (refused, err) => this.#onRefused(refused, err),
    });
    this.#assigned.set(runId, assignment);
    const ending = current?.isEnding === true ? current : undefined;
    if (ending === undefined) current?.stop("superseded");
    if (this.#isDraining) assignment.stop("draining");
    else if (ending === undefined) this.#enqueue(assignment);
    else this.#next.set(ending, assignment);
  }

  #enqueue(assignment: Assignment): void {
    if (this.#working.size >= this.#options.slots) this.#waiting.push(assignment);
    else this.#work(assignment);
  }

  #work(assignment: Assignment): void {
    this.#working.add(assignment);
    this.#begin(assignment).catch((err: unknown) => {
      const { runId, no } = assignment;
      this.#deps.logger.error({ err, runId, invocation: no }, "an invocation could not begin");
      assignment.stop("refused");
    });
  }

  async #begin(assignment: Assignment): Promise<void> {
    const { request } = assignment;
    const fn = this.#functions.get(request.functionId);
    if (fn === undefined) return assignment.refuse(unknownFunction(request.functionId));
    const rest = this.#takeRest(request);
    if (rest !== null) {
      const { session, memory } = rest;
      const goesOn = session !== null && !session.hasRetryDue(assignment.pending);
      if (!goesOn) session?.stop("superseded");
      return assignment.begin(goesOn ? session : this.#newSession(fn, request, memory));
    }
    const memory = await this.#memoryOf(request);
    if (assignment.stopped !== null) return;
    if (memory === null) return assignment.stop("superseded");
    assignment.begin(this.#newSession(fn, request, memory));
  }

  /** What was kept of the run, if it fits the request (W3). */
  #takeRest(request: StepRequest): Rest | null {
    const rest = this.#rests.get(request.runId);
    if (rest === undefined) return null;
    this.#rests.delete(request.runId);
    if (rest.invocation + 1 === request.invocation && rest.memory.merge(request) !== null) return rest;
    rest.session?.stop("superseded");
    return null;
  }

  /** From the request itself where it has everything, else from the engine; null where the run is over. */
  async #memoryOf(request: StepRequest): Promise<RunMemory | null> {
    const { runId, invocation, event, memo, memoTotal } = request;
    if (event !== null && memo.length === memoTotal) return new RunMemory(event, memo);
    const state = await this.#deps.transport.needState({ runId, invocation });
    return state === null || state.invocation !== invocation ? null : RunMemory.of(state);
  }

  #newSession(fn: EddyFunction, request: StepRequest, memory: RunMemory): Session {
    const { runId, maxAttempts, stepAttempts } = request;
    const failed = stepAttempts.filter(([stepId]) => memory.get(stepId) === undefined).map(([, count]) => count);
    const attempt = Math.max(request.attempt, ...failed);
    return new Session({
      runId,
      memory,
      clock: this.#deps.clock,
      graces: this.#options,
      isStrict: fn.isStrict,
      onStepsLeft: (steps) => tellStepsLeft(this.#deps.logger, request, steps),
      enter: (session) => enterHandler(fn, session, { runId, attempt, maxAttempts, send: this.#deps.send }),
    });
  }

  #onEnded(assignment: Assignment, end: InvocationEnd): void {
    const { runId, no, session, stopped } = assignment;
    if (end === "released") this.#deps.transport.release({ runId, invocation: no });
    const next = this.#next.get(assignment);
    this.#next.delete(assignment);
    const current = this.#assigned.get(runId);
    if (current === assignment) this.#assigned.delete(runId);
    const mayGoOn = current !== undefined && (current === assignment || current === next) && stopped === null;
    if (mayGoOn && session !== null && (end === "suspended" || end === "failed")) {
      const goesOn = end === "suspended" ? session : null;
      this.#rests.set(runId, { invocation: no, memory: session.memory, session: goesOn });
    } else if (end === "suspended") {
      session?.stop("superseded");
    }
    this.#working.delete(assignment);
    const at = this.#waiting.indexOf(assignment);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (next !== undefined && next === current) this.#waiting.push(next);
    const first = this.#working.size < this.#options.slots ? this.#waiting.shift() : undefined;
    if (first !== undefined) this.#work(first);
    if (this.#assigned.size === 0) this.#onIdle?.();
  }

  #onRefused({ runId, no }: Assignment, err: unknown): void {
    if (this.#closing !== null) return;
    this.#deps.logger.error({ err, runId, invocation: no }, "a report was refused; the invocation ends here");
  }

  #onAbort(runId: string): void {
    const rest = this.#rests.get(runId);
    this.#rests.delete(runId);
    rest?.session?.stop("aborted");
    this.#assigned.get(runId)?.stop("aborted");
  }
}

/** Another worker, of another version, may have it: tried again. */
function unknownFunction(functionId: string): InvocationOutcome {
  const message = `this worker has no function ${functionId}: it was renamed or removed, or not given to connect()`;
  const error = { name: "FunctionNotFoundError", message, stack: null };
  return { kind: "threw", error, retriable: true, retryAfter: null };
}
