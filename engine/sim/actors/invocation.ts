/**
 * One invocation of a scripted function on a worker: re-enter, run what can run inline, report, suspend or end. Where it
 * lacks what the request left out it asks for the run's state, or declines the request.
 */
import {
  canonAt,
  listenRouteOf,
  type ErrorShape,
  type InboxRecordOf,
  type MemoEntry,
  type StepOp,
  type StepReport,
  type StepRequest,
} from "@eddy/schemas";
import {
  advance,
  computedText,
  EVENT_DATA,
  versionOf,
  type DataDraft,
  type Node,
  type RunNode,
  type SendNode,
  type SleepNode,
  type Standing,
  type WaitNode,
} from "../script/script.js";
import { TransientError } from "@eddy/clients/errors";
import type { SimEvent } from "./send.js";
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
  /** Ends with the last report so far. */
  #reported: Promise<void> = Promise.resolve();
  /** Steps that are the engine's now: asked for, or failed here and to be tried again when it says so. */
  readonly #handedOver: Set<string>;

  constructor(worker: SimWorker, request: StepRequest, running: Running) {
    this.#worker = worker;
    this.#request = request;
    this.#running = running;
    this.#handedOver = new Set(worker.deps.habits.ignoresPending ? [] : request.pending);
  }

  async run(): Promise<void> {
    const { scripts, facts, version } = this.#worker.deps;
    const script = scripts.get(this.#request.functionId);
    if (script === undefined) throw new Error(`no script for ${this.#request.functionId}`);
    if (!(await this.#enter())) return;
    const { runId, invocation } = this.#request;
    facts.entries.push({ runId, invocation, version, memo: [...this.#memo.values()] });
    await this.#goOn(versionOf(script, version).nodes, script.strict);
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

  async #goOn(nodes: readonly Node[], isStrict: boolean): Promise<void> {
    for (;;) {
      if (!this.#mayGoOn()) return;
      const standing = advance(nodes, this.#memo, this.#request.attempt);
      switch (standing.kind) {
        case "returned":
          return this.#finish({ kind: "returned", data: toBytes.encode(standing.data) });
        case "threw": {
          const { name, message, retriable } = standing;
          return this.#finish({ kind: "threw", error: error(name, message), retriable, retryAfter: null });
        }
        case "blocked": {
          if (standing.unasked.length > 0) return this.#leftRecord(standing.unasked);
          const runs = standing.runs.filter((node) => !this.#handedOver.has(node.id));
          for (const node of standing.requests) this.#askFor(node);
          if (runs.length === 0) {
            this.#withdraw(standing);
            return this.#finish({ kind: "suspended" });
          }
          await this.#report(null); // what is done must be in the log before more is done
          if (!this.#mayGoOn()) return;
          await Promise.all(runs.map((node) => this.#execute(node)));
          if (isStrict) return this.#finish({ kind: "yielded" });
        }
      }
    }
  }

  /** The code asks for other steps than those that are recorded. */
  #leftRecord(unasked: readonly string[]): Promise<void> {
    this.#worker.deps.facts.count("records left");
    const failure = error("NonDeterminismError", `recorded and not asked for: ${unasked.join(", ")}`);
    return this.#finish({ kind: "threw", error: failure, retriable: true, retryAfter: null });
  }

  /** Gives up what lost a race, unless something else waits for it. */
  #withdraw({ lost, ...standing }: Standing): void {
    if (standing.kind !== "blocked") return;
    const given = new Set(this.#request.withdrawn);
    for (const stepId of lost) {
      if (given.has(stepId) || !this.#handedOver.has(stepId)) continue;
      if (standing.requests.some(({ id }) => id === stepId)) continue;
      this.#worker.deps.facts.count("withdrawn");
      // Ahead of what is asked for: that may take what the lost step gives back.
      this.#unreported.unshift({ kind: "withdrawn", stepId });
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
    const { id: stepId, event, match, since, timeout } = node;
    const own = this.#ownEvent;
    const condition = node.if === null ? null : computedText(node.if, own);
    const value = canonAt(own, listenRouteOf({ event, match, if: condition }).of);
    this.#unreported.push({ kind: "waitRequested", stepId, event, match, if: condition, value, since, timeout });
  }

  get #ownEvent(): { readonly data: Record<string, unknown>; readonly ts: number } {
    return JSON.parse(toText.decode(this.#event)) as { data: Record<string, unknown>; ts: number };
  }

  async #execute(node: RunNode | SendNode): Promise<void> {
    const { deps, process } = this.#worker;
    const { runId, invocation, stepAttempts } = this.#request;
    deps.facts.executions.push({
      ...{ runId, stepId: node.id, invocation, worker: process.name, honest: !deps.habits.ignoresLease },
      ...{ version: deps.version, inboxEnd: deps.inboxEnd(this.#running.partition), atMs: deps.scheduler.nowMs },
    });
    const attempt = stepAttempts.find(([stepId]) => stepId === node.id)?.[1] ?? 0;
    const hasFailed = node.kind === "send" ? !(await this.#send(node)) : await this.#work(node, attempt);
    if (hasFailed) {
      this.#handedOver.add(node.id);
      const failure = error("Error", `${node.id} failed, attempt ${attempt}`);
      const advice = node.kind === "run" ? node : { retriable: true, retryAfter: null };
      (deps.habits.splits ? this.#unreported : this.#failures).push({
        ...{ kind: "stepFailed", stepId: node.id, error: failure },
        ...{ retriable: advice.retriable, retryAfter: advice.retryAfter },
      });
    } else {
      // No two executions give the same result, so that it shows whose was recorded.
      const padding = node.kind === "run" ? node.padding : 0;
      const data = json(`${node.id}@${process.name}#${invocation}${"-".repeat(padding)}`);
      this.#unreported.push({ kind: "stepCompleted", stepId: node.id, data });
      this.#memo.set(node.id, { stepId: node.id, kind: "run", data, error: null, invocation });
    }
    if (!deps.habits.merges) await this.#report(null);
  }

  /** @returns true where the step fails. */
  async #work(node: RunNode, attempt: number): Promise<boolean> {
    const { deps, process } = this.#worker;
    const { runId, invocation } = this.#request;
    if (node.emits !== null) void this.#emit(node.id, node.emits, attempt);
    const what = `step ${node.id} of ${runId.slice(0, 8)}#${invocation}`;
    await deps.scheduler.suspend(process, { kind: "work", what, delayMs: node.tookMs, act: () => undefined });
    return attempt < node.fails;
  }

  /** step.sendEvent. @returns false where the log did not say that it has the event. */
  async #send({ id, event, data }: SendNode): Promise<boolean> {
    const { send, facts } = this.#worker.deps;
    facts.count("events sent by a step");
    try {
      await send(this.#eventOf({ id: `${this.#request.runId}/${id}/0`, name: event, data }));
      return true;
    } catch (failure) {
      if (!(failure instanceof TransientError)) throw failure;
      return false;
    }
  }

  /** What the step does to the world: an event, such as a reviewer's answer. */
  async #emit(stepId: string, emits: NonNullable<RunNode["emits"]>, attempt: number): Promise<void> {
    const { clock, send, facts } = this.#worker.deps;
    if (emits.afterMs > 0) await clock.sleep(emits.afterMs);
    const id = `${this.#request.runId.slice(0, 8)}/${stepId}/${attempt}`;
    facts.count("replies");
    await this.#worker.retrying(() => send(this.#eventOf({ id, name: emits.event, data: emits.data })));
  }

  #eventOf({ id, name, data }: { readonly id: string; readonly name: string; readonly data: DataDraft }): SimEvent {
    const own = this.#ownEvent;
    return { id, idFrom: "user", name, ts: own.ts, data: EVENT_DATA.of(data, own) };
  }

  async #finish(outcome: NonNullable<StepReport["outcome"]>): Promise<void> {
    const { runId, invocation } = this.#request;
    await this.#report(outcome);
    if (outcome.kind === "yielded") this.#worker.deps.facts.count("yields");
    if (outcome.kind === "suspended" || outcome.kind === "yielded") {
      this.#worker.remember(runId, { invocation, event: this.#event, memo: this.#memo });
    }
  }

  /**
   * One report after the other: the log has results in the order in which the handler saw them, so that a race of steps
   * that run side by side is decided the same way by whoever replays them.
   */
  #report(outcome: StepReport["outcome"]): Promise<void> {
    this.#reported = this.#reported.then(() => this.#sayWhatIsDone(outcome));
    return this.#reported;
  }

  async #sayWhatIsDone(outcome: StepReport["outcome"]): Promise<void> {
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
