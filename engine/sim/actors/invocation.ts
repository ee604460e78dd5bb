/**
 * One invocation of a scripted function on a worker: re-enter, run what can run inline, report, suspend or end. Where it
 * lacks what the request left out it asks for the run's state, or declines the request.
 */
import {
  canon,
  valueAt,
  type ErrorShape,
  type InboxRecordOf,
  type MemoEntry,
  type StepOp,
  type StepReport,
  type StepRequest,
} from "@eddy/schemas";
import { advance, type RunNode, type Script, type SleepNode, type WaitNode } from "../script/script.js";
import type { Running, SimWorker } from "./worker.js";

const toBytes = new TextEncoder();
const toText = new TextDecoder();
const json = (value: unknown): Uint8Array => toBytes.encode(JSON.stringify(value));
const error = (name: string, message: string): ErrorShape => ({ name, message, stack: null });

export class Invocation {
  readonly #worker: SimWorker;
  readonly #request: StepRequest;
  readonly #running: Running;
  readonly #memo = new Map<string, MemoEntry>();
  #event: Uint8Array = new Uint8Array();
  /** Ops that are done and not reported yet. */
  #unreported: StepOp[] = [];
  /** Failures travel with the outcome: the engine can act on them only then. Not with every worker. */
  #failures: StepOp[] = [];
  /** Steps that are the engine's now: asked for, or failed here and to be tried again when it says so. */
  readonly #handedOver: Set<string>;

  constructor(worker: SimWorker, request: StepRequest, running: Running) {
    this.#worker = worker;
    this.#request = request;
    this.#running = running;
    this.#handedOver = new Set(worker.deps.habits.ignoresPending ? [] : request.pending);
  }

  async run(): Promise<void> {
    const { scripts, facts } = this.#worker.deps;
    const script = scripts.get(this.#request.functionId);
    if (script === undefined) throw new Error(`no script for ${this.#request.functionId}`);
    if (!(await this.#enter())) return;
    const { runId, invocation } = this.#request;
    facts.entries.push({ runId, invocation, memo: [...this.#memo.values()] });
    await this.#goOn(script);
  }

  /** Puts the memo together. @returns false if this invocation is over already. */
  async #enter(): Promise<boolean> {
    const { runId, invocation, event, memo, memoTotal } = this.#request;
    const known = this.#worker.cache.get(runId);
    if (invocation > 1) this.#worker.deps.facts.count(event === null ? "resumed in part" : "resumed whole");
    this.#worker.cache.delete(runId);
    const usable = event !== null || known?.invocation === invocation - 1;
    if (usable) {
      this.#event = event ?? known?.event ?? this.#event;
      const before = event === null ? (known?.memo.values() ?? []) : [];
      for (const entry of [...before, ...memo]) this.#memo.set(entry.stepId, entry);
      if (this.#memo.size === memoTotal) return true;
    }
    return this.#askState(runId, invocation);
  }

  async #askState(runId: string, invocation: number): Promise<boolean> {
    const { askState, clock, rng, habits, facts } = this.#worker.deps;
    if (rng.chance(habits.declines)) {
      facts.count("declines");
      await this.#say({ kind: "declined", runId, invocation });
      return false;
    }
    facts.count("states asked for");
    for (;;) {
      const state = await askState(this.#running.partition, runId, invocation);
      if (state === null) return false;
      if (state !== "unavailable") {
        this.#event = state.event;
        this.#memo.clear();
        for (const entry of state.memo) this.#memo.set(entry.stepId, entry);
        return true;
      }
      await clock.sleep(rng.between(500, 3_000));
      if (!this.#mayGoOn()) return false;
    }
  }

  /** @returns false when the invocation must end without a word: another worker will get the run. */
  #mayGoOn(): boolean {
    return this.#worker.holdsLease(this.#running) && !this.#running.aborted;
  }

  async #goOn(script: Script): Promise<void> {
    for (;;) {
      if (!this.#mayGoOn()) return;
      const standing = advance(script.nodes, this.#memo, this.#request.attempt);
      switch (standing.kind) {
        case "returned":
          return this.#finish({ kind: "returned", data: toBytes.encode(standing.data) });
        case "threw": {
          const { name, message, retriable } = standing;
          return this.#finish({ kind: "threw", error: error(name, message), retriable, retryAfter: null });
        }
        case "blocked": {
          const runs = standing.runs.filter((node) => !this.#handedOver.has(node.id));
          for (const node of standing.requests) this.#askFor(node);
          if (runs.length === 0) return this.#finish({ kind: "suspended" });
          await this.#report(null); // what is done must be in the log before more is done
          if (!this.#mayGoOn()) return;
          await Promise.all(runs.map((node) => this.#execute(node)));
        }
      }
    }
  }

  /** Asks once for a sleep or a wait. */
  #askFor(node: SleepNode | WaitNode): void {
    if (this.#handedOver.has(node.id)) return;
    this.#handedOver.add(node.id);
    if (node.kind === "sleep") {
      this.#unreported.push({ kind: "sleepRequested", stepId: node.id, until: node.until });
      return;
    }
    const value = canon(valueAt(JSON.parse(toText.decode(this.#event)), node.match));
    this.#unreported.push({
      ...{ kind: "waitRequested", stepId: node.id, event: node.event, match: node.match, value },
      timeout: node.timeout,
    });
  }

  async #execute(node: RunNode): Promise<void> {
    const { deps, process } = this.#worker;
    const { runId, invocation, stepAttempts } = this.#request;
    deps.facts.executions.push({
      ...{ runId, stepId: node.id, invocation, worker: process.name, honest: !deps.habits.ignoresLease },
      ...{ inboxEnd: deps.inboxEnd(this.#running.partition), atMs: deps.scheduler.nowMs },
    });
    const attempt = stepAttempts.find(([stepId]) => stepId === node.id)?.[1] ?? 0;
    if (node.emits !== null) void this.#emit(node, attempt);
    const what = `step ${node.id} of ${runId.slice(0, 8)}#${invocation}`;
    await deps.scheduler.suspend(process, { kind: "work", what, delayMs: node.tookMs, act: () => undefined });
    if (attempt < node.fails) {
      this.#handedOver.add(node.id);
      const failure = error("Error", `${node.id} failed, attempt ${attempt}`);
      (deps.habits.splits ? this.#unreported : this.#failures).push({
        ...{ kind: "stepFailed", stepId: node.id, error: failure },
        ...{ retriable: node.retriable, retryAfter: node.retryAfter },
      });
    } else {
      // No two executions give the same result, so that it shows whose was recorded.
      const data = json(`${node.id}@${process.name}#${invocation}${"-".repeat(node.padding)}`);
      this.#unreported.push({ kind: "stepCompleted", stepId: node.id, data });
      this.#memo.set(node.id, { stepId: node.id, kind: "run", data, error: null, invocation });
    }
    if (!deps.habits.merges) await this.#report(null);
  }

  /** What the step does to the world: an event for the run's own key, such as a reviewer's answer. */
  async #emit(node: RunNode, attempt: number): Promise<void> {
    const { clock, send, facts } = this.#worker.deps;
    const { emits } = node;
    if (emits === null) return;
    if (emits.afterMs > 0) await clock.sleep(emits.afterMs);
    const { data, ts } = JSON.parse(toText.decode(this.#event)) as { data: Record<string, unknown>; ts: number };
    const id = `${this.#request.runId.slice(0, 8)}/${node.id}/${attempt}`;
    facts.count("replies");
    await this.#worker.retrying(() => send({ id, idFrom: "user", name: emits.event, ts, data }));
  }

  async #finish(outcome: NonNullable<StepReport["outcome"]>): Promise<void> {
    const { runId, invocation } = this.#request;
    await this.#report(outcome);
    if (outcome.kind === "suspended") {
      this.#worker.remember(runId, { invocation, event: this.#event, memo: this.#memo });
    }
  }

  async #report(outcome: StepReport["outcome"]): Promise<void> {
    const { runId, invocation } = this.#request;
    const ops = outcome === null ? this.#unreported : [...this.#unreported, ...this.#failures];
    this.#unreported = [];
    if (ops.length === 0 && outcome === null) return;
    await this.#say({ kind: "report", report: { runId, invocation, ops, outcome } });
  }

  /** Resolves when the log has the record: some say it late, some once more later on. */
  async #say(record: InboxRecordOf<"report" | "declined">): Promise<void> {
    const { habits, rng, clock, facts } = this.#worker.deps;
    // A decline has no acknowledgement: who still lacks the state says it again.
    const twice = record.kind === "declined" ? Math.max(habits.twice, 0.3) : habits.twice;
    if (rng.chance(habits.late)) {
      facts.count(`late: ${record.kind}`);
      await clock.sleep(rng.between(1_000, 150_000));
    }
    await this.#worker.append(this.#running.partition, record);
    if (rng.chance(twice)) {
      facts.count(`twice: ${record.kind}`);
      void clock.sleep(rng.between(0, 90_000)).then(() => this.#worker.append(this.#running.partition, record));
    }
  }
}
