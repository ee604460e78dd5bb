/**
 * The engine as a worker sees it, for one worker and any number of runs, without time: what the clock or an event would
 * settle, a test settles by hand. Keeps the rules that matter to a worker: reports of another invocation than the current
 * are dropped, repeats change nothing, a request carries what the last one's worker cannot know.
 */
import type { MemoEntry, RunState, StepOp, StepReport, StepRequest } from "@eddy/schemas";
import { encodeJson, decodeJson } from "../src/protocol/json.js";
import { ConnectError } from "../src/errors/eddy-error.js";
import type {
  RunningInvocation,
  TransportHandlers,
  WorkerIdentity,
  WorkerTerms,
  WorkerTransport,
} from "../src/worker/transport.js";
import { turns } from "./manual-clock.js";

export interface ScriptedRun {
  readonly runId: string;
  readonly functionId: string;
  readonly event: Record<string, unknown>;
  memo: MemoEntry[];
  /** By step id; failed steps that are to be tried again are here too. */
  pending: Map<string, StepOp>;
  attempts: Map<string, number>;
  withdrawn: Set<string>;
  invocation: number;
  memoSent: number;
  isInFlight: boolean;
  /** "suspended" while it waits. */
  status: "running" | "suspended" | "completed" | "failed";
  output?: unknown;
  error?: { readonly name: string; readonly message: string };
}

interface Delivered {
  readonly report: StepReport;
  readonly ack: () => void;
  readonly refuse: () => void;
}

export class ScriptedEngine implements WorkerTransport {
  readonly runs = new Map<string, ScriptedRun>();
  readonly reports: StepReport[] = [];
  readonly released: RunningInvocation[] = [];
  readonly needed: RunningInvocation[] = [];
  readonly heartbeats: { running: readonly RunningInvocation[]; ack(): void; fail(): void }[] = [];
  readonly requests: StepRequest[] = [];
  /** Reports that wait for an answer; empty while `acksItself`. */
  readonly waiting: Delivered[] = [];
  acksItself = true;
  terms: WorkerTerms = { leaseMs: 60_000, heartbeatMs: 20_000 };
  retries = 2;
  /** Tells workers which steps it holds. */
  tellsPending = true;
  /** Without it the run stays where it yielded until `dispatch`. */
  dispatchesYielded = true;
  isClosed = false;
  /** What a worker said at its close that it still runs. */
  left: readonly RunningInvocation[] = [];
  isDraining = false;
  identity: WorkerIdentity | null = null;
  handlers: TransportHandlers | null = null;

  async start(identity: WorkerIdentity, handlers: TransportHandlers): Promise<void> {
    this.identity = identity;
    this.handlers = handlers;
    handlers.onConnected(this.terms);
  }
  report(report: StepReport): Promise<void> {
    this.reports.push(report);
    return new Promise((resolve, reject) => {
      const delivered: Delivered = {
        report,
        ack: () => {
          this.#apply(report);
          resolve();
        },
        refuse: () => reject(new ConnectError("REFUSED", "the report was refused")),
      };
      if (this.acksItself) delivered.ack();
      else this.waiting.push(delivered);
    });
  }
  heartbeat(running: readonly RunningInvocation[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.heartbeats.push({ running, ack: resolve, fail: () => reject(new Error("not known")) });
    });
  }
  async needState(of: RunningInvocation): Promise<RunState | null> {
    this.needed.push(of);
    const run = this.runs.get(of.runId);
    if (run === undefined || run.invocation !== of.invocation) return null;
    return { runId: run.runId, invocation: run.invocation, event: encodeJson(run.event), memo: [...run.memo] };
  }
  release(of: RunningInvocation): void {
    this.released.push(of);
  }
  drain(): void {
    this.isDraining = true;
  }
  async close(left: readonly RunningInvocation[] = []): Promise<void> {
    this.left = left;
    this.isClosed = true;
    for (const { refuse } of this.waiting.splice(0)) refuse();
  }

  /** Starts a run and lets the worker do what it can. */
  async startRun(functionId: string, event: Record<string, unknown> = {}): Promise<ScriptedRun> {
    const runId = `00a-run-${this.runs.size + 1}`;
    const run: ScriptedRun = {
      runId,
      functionId,
      event: { name: "test/started", id: "e1", ts: 1, data: {}, ...event },
      memo: [],
      pending: new Map(),
      attempts: new Map(),
      withdrawn: new Set(),
      invocation: 0,
      memoSent: 0,
      isInFlight: false,
      status: "suspended",
    };
    this.runs.set(runId, run);
    await this.dispatch(run);
    return run;
  }

  /** The next invocation; the current one, if any, is superseded. */
  async dispatch(run: ScriptedRun): Promise<void> {
    this.#dispatch(run);
    await turns();
  }
  /** A sleep is over, or a wait gets `event`, or null. */
  async settle(run: ScriptedRun, stepId: string, event: Record<string, unknown> | null = null): Promise<void> {
    this.settleOnly(run, stepId, event);
    if (!run.isInFlight) await this.dispatch(run);
  }
  settleOnly(run: ScriptedRun, stepId: string, event: Record<string, unknown> | null = null): void {
    const op = run.pending.get(stepId);
    if (op === undefined) throw new Error(`nothing is pending as ${stepId}: ${[...run.pending.keys()].join(", ")}`);
    run.pending.delete(stepId);
    const kind = op.kind === "sleepRequested" ? "sleep" : "wait";
    run.memo.push({ stepId, kind, data: event === null ? null : encodeJson(event), error: null, invocation: 0 });
  }
  /** A failed step (or, with "", the handler) may be tried again. */
  async retry(run: ScriptedRun, stepId: string): Promise<void> {
    run.pending.delete(stepId);
    await this.dispatch(run);
  }
  /** Asks the transport for the waiting report at `index` to be acknowledged, and lets things happen. */
  async ack(index = 0): Promise<void> {
    const [delivered] = this.waiting.splice(index, 1);
    if (delivered === undefined) throw new Error("no report is waiting");
    delivered.ack();
    await turns();
  }

  memoOf(run: ScriptedRun): Record<string, unknown> {
    return Object.fromEntries(
      run.memo.map(({ stepId, data, error }) => [stepId, error ?? (data === null ? null : decodeJson(data))]),
    );
  }
  /** Ops and outcomes in the order of their reports, in short. */
  get story(): string[] {
    return this.reports.flatMap(({ invocation, ops, outcome }) => [
      ...ops.map((op) => `${invocation} ${op.kind} ${op.stepId}`),
      ...(outcome === null ? [] : [`${invocation} ${outcome.kind}`]),
    ]);
  }

  #dispatch(run: ScriptedRun): void {
    const before = run.invocation;
    run.invocation += 1;
    run.isInFlight = true;
    run.status = "running";
    const request: StepRequest = {
      app: "app",
      functionId: run.functionId,
      runId: run.runId,
      invocation: run.invocation,
      attempt: run.attempts.get("") ?? 0,
      maxAttempts: this.retries + 1,
      stepAttempts: [...run.attempts].filter(([id]) => id !== ""),
      event: before === 0 ? encodeJson(run.event) : null,
      memo: run.memo.slice(run.memoSent).filter((entry) => entry.invocation !== before),
      memoTotal: run.memo.length,
      ...(this.tellsPending
        ? { pending: [...run.pending.keys()].filter((id) => id !== ""), withdrawn: [...run.withdrawn] }
        : {}),
    };
    run.memoSent = run.memo.length;
    this.requests.push(request);
    this.handlers?.onRequest(request);
  }

  #apply({ runId, invocation, ops, outcome }: StepReport): void {
    const run = this.runs.get(runId);
    if (run === undefined || !run.isInFlight || run.invocation !== invocation) return;
    for (const op of ops) this.#applyOp(run, op);
    if (outcome === null) return;
    run.isInFlight = false;
    if (outcome.kind === "yielded") {
      if (this.dispatchesYielded) queueMicrotask(() => this.#dispatch(run));
    } else if (outcome.kind === "suspended") {
      run.status = "suspended";
      const isNews = (entry: MemoEntry): boolean => entry.invocation !== invocation;
      if (run.memo.slice(run.memoSent).some(isNews)) queueMicrotask(() => this.#dispatch(run));
    } else if (outcome.kind === "returned") {
      run.status = "completed";
      run.output = decodeJson(outcome.data);
    } else if (!outcome.retriable || !this.#mayRetry(run, "")) {
      run.status = "failed";
      run.error = outcome.error;
    } else {
      run.status = "suspended";
    }
  }

  #applyOp(run: ScriptedRun, op: StepOp): void {
    const { stepId } = op;
    if (op.kind === "withdrawn") {
      if (run.pending.delete(stepId)) run.withdrawn.add(stepId);
      return;
    }
    if (run.memo.some((entry) => entry.stepId === stepId) || run.pending.has(stepId)) return;
    run.withdrawn.delete(stepId);
    if (op.kind === "stepCompleted") {
      // What was settled meanwhile reaches the handler with the next request: after this.
      const firstUnsent = run.memo.findIndex((entry, i) => i >= run.memoSent && entry.invocation !== run.invocation);
      const at = firstUnsent === -1 ? run.memo.length : firstUnsent;
      run.memo.splice(at, 0, { stepId, kind: "run", data: op.data, error: null, invocation: run.invocation });
    } else if (op.kind !== "stepFailed") {
      run.pending.set(stepId, op);
    } else if (op.retriable && this.#mayRetry(run, stepId)) {
      run.pending.set(stepId, op);
    } else {
      run.memo.push({ stepId, kind: "run", data: null, error: op.error, invocation: 0 });
    }
  }

  #mayRetry(run: ScriptedRun, stepId: string): boolean {
    const failed = (run.attempts.get(stepId) ?? 0) + 1;
    if (failed > this.retries) return false;
    run.attempts.set(stepId, failed);
    return true;
  }
}
