/**
 * `testEngine`: a user's functions on the real core, in memory, in virtual time, inside of any test runner.
 *
 * Invariants: time moves by `advance` alone, from one thing that is due to the next. A call resolves when nothing more
 * can happen at this time: all is decided, told and handed over (`MemoryEngine.isQuiet`), no handler or step runs, and no
 * event is on its way. That is looked at between turns of the event loop; how often is a matter of cost, never of the
 * answer. What is wrong with the engine itself rejects the next call.
 */
import { parseDuration } from "@eddy/schemas";
import { MemoryEngine } from "@eddy/engine/testing";
import { Eddy } from "../define/client.js";
import { EddyFunction, repeatedId } from "../define/eddy-function.js";
import type { EventPayload, Untyped } from "../define/event-type.js";
import type { Logger } from "../define/logger.js";
import type { OneOrMore } from "../define/types.js";
import type { EventSender } from "../protocol/event-sender.js";
import { currentStep } from "../step/current-step.js";
import { SealingTransport } from "../sealing/sealing-transport.js";
import { Worker } from "../worker/worker.js";
import { MemoryDelivery } from "./memory-delivery.js";
import { MemoryTransport } from "./memory-transport.js";
import { openedRun } from "./opened-run.js";
import { viewOf, type RunView } from "./run-view.js";
import { StepDoubles, type FailureOptions, type StepBody, type StepChoice } from "./step-doubles.js";
import type { Sent, TestedClient, TestEngineOptions } from "./test-engine-options.js";
import { keptAlive, TEST_CLOCK } from "./test-clock.js";
import { TestEngineError } from "./test-engine-error.js";

const DEFAULTS = { patienceMs: 4_000, idleGraceMs: 50 } as const;
/** The log of one call: who writes more sends events to itself. */
const APPENDS_MAX = 200_000;
/** Looks at each turn of the event loop since something happened; after them, each is 1 ms after the one before. */
const BUSY_TURNS = 200;
const SILENT: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * Starts functions in memory, in virtual time. Close what you have started.
 * @throws TestEngineError without functions, for two of one id, or for a `now` that is no point in time; ConnectError for functions that an
 *   engine would refuse.
 * @example
 * ```ts
 * import { Eddy } from "@eddy/sdk";
 * import { testEngine } from "@eddy/sdk/testing";
 * import assert from "node:assert/strict";
 * import { test } from "node:test";
 *
 * const eddy = new Eddy({ id: "shop" });
 * const remind = eddy.createFunction({ id: "remind", triggers: [{ event: "cart/filled" }] }, async ({ event, step }) => {
 *   await step.sleep("a day", "24h");
 *   await step.run("mail", (to: string) => console.log("a mail to", to), event.data.email);
 * });
 *
 * test("a mail after a day", async () => {
 *   const t = await testEngine({ functions: [remind] });
 *   try {
 *     const mails: string[] = [];
 *     t.replaceStep("mail", (to: string) => mails.push(to));
 *     const { runs } = await t.send({ name: "cart/filled", data: { email: "ada@example.org" } });
 *     await t.advance("23h");
 *     assert.deepEqual(mails, []);
 *     await t.advance("1h");
 *     assert.deepEqual(mails, ["ada@example.org"]);
 *     assert.equal((await t.run(runs[0])).status, "Completed");
 *   } finally {
 *     await t.close();
 *   }
 * });
 * ```
 */
export function testEngine(options: TestEngineOptions): Promise<TestEngine> {
  return keptAlive(async () => {
    const engine = await MemoryEngine.start({ startMs: startOf(options), logger: options.logger ?? SILENT });
    try {
      const test = new TestEngine(engine, options);
      await test.start();
      return test;
    } catch (error) {
      await engine.close();
      throw error;
    }
  });
}

/**
 * Functions on the real engine, in memory. Time is virtual and stands still until it is moved. Each call resolves when
 * all that follows from it at this time has happened: runs started, steps done, events of steps taken.
 *
 * Each call rejects with TestEngineError once the test engine is closed, where a step or handler does not end within
 * `patienceMs` (the message names it), where functions go on without end by events to themselves, and where the engine
 * itself has failed.
 */
export class TestEngine {
  readonly #engine: MemoryEngine;
  readonly #client: TestedClient;
  readonly #patienceMs: number;
  readonly #doubles: StepDoubles;
  readonly #transport: MemoryTransport;
  readonly #delivery: MemoryDelivery;
  readonly #sender: EventSender;
  readonly #worker: Worker;
  #lastMove: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  /** Use `testEngine`. */
  constructor(engine: MemoryEngine, options: TestEngineOptions) {
    const { functions, client, patienceMs, idleGraceMs, logger } = options;
    this.#engine = engine;
    this.#client = client ?? new Eddy({ id: "test", baseUrl: "http://127.0.0.1" });
    this.#patienceMs = patienceMs ?? DEFAULTS.patienceMs;
    this.#doubles = new StepDoubles(functions);
    this.#transport = new MemoryTransport(engine);
    this.#delivery = new MemoryDelivery(engine);
    this.#sender = this.#client.openSender();
    const { sealing } = this.#client;
    this.#worker = new Worker(
      {
        app: this.#client.id,
        functions: functions.map((fn) => this.#doubles.wrap(fn)),
        workerId: "test",
        slots: 10_000,
        suspendedMax: 10_000,
        drainMs: 100,
        idleGraceMs: idleGraceMs ?? DEFAULTS.idleGraceMs,
        replayGraceMs: 1_000,
      },
      {
        transport:
          sealing === null ? this.#transport : new SealingTransport(this.#transport, sealing, logger ?? SILENT),
        clock: TEST_CLOCK,
        logger: logger ?? SILENT,
        send: (events, idOf) => {
          const of = this.#transport.functionOf(currentStep().runId) ?? "";
          const send = (): unknown => this.#sender.send(events, idOf);
          return this.#doubles.perform(of.slice(of.indexOf("/") + 1), [events], send) as ReturnType<
            EventSender["send"]
          >;
        },
      },
    );
  }

  /** @internal Called by `testEngine`. */
  async start(): Promise<void> {
    this.#client.divert(this.#delivery);
    try {
      await this.#unlessBroken(this.#worker.start());
      await this.#settle();
    } catch (error) {
      this.#client.divert(null);
      await this.#worker.close();
      throw error;
    }
  }

  /**
   * Sends into this test engine without waiting for what follows, as the app's own code would: for bodies of steps, and
   * for servers under test. The given `client`, or one of the test engine's own.
   */
  get client(): Pick<Eddy<Untyped>, "send"> {
    return this.#client;
  }

  /** Virtual time. */
  get now(): Date {
    return new Date(this.#engine.nowMs);
  }

  /**
   * Sends events, as `eddy.send`, and resolves when all that follows from them now has happened.
   * @throws SendError for an event that is not valid; TestEngineError.
   */
  send(events: OneOrMore<EventPayload>): Promise<Sent> {
    return keptAlive(async () => {
      this.#check();
      const { ids } = await this.#unlessBroken(this.#sender.send(events));
      await this.#settle();
      const started = await Promise.all(ids.map((id) => this.#engine.runsOfEvent(id)));
      return { ids, runs: started.flat().map((run) => run.run_id) };
    });
  }

  /**
   * Moves time on, and resolves when everything that is due by then has happened, each thing at its own time: sleeps and
   * waits that end, retries, events sent with a `ts` in between, and what follows from them; at the very end too.
   * @param by ms, or a duration such as "24h" or "3 days".
   * @throws RangeError for something else.
   */
  advance(by: number | string): Promise<void> {
    const ms = parseDuration(by);
    return this.#move(() => this.#engine.nowMs + ms);
  }

  /**
   * As `advance`, to a point in time.
   * @param time a Date, ms since 1970, or ISO 8601 text.
   * @throws TestEngineError for one that lies back.
   */
  async advanceTo(time: Date | number | string): Promise<void> {
    const atMs = new Date(time).getTime();
    if (!(atMs >= this.#engine.nowMs)) {
      throw new TestEngineError(`advanceTo: expected a time from ${this.now.toISOString()} on, got ${String(time)}`);
    }
    await this.#move(() => atMs);
  }

  /**
   * A run as it is now.
   * @param runId one of those that `send` resolved with; undefined is let in, so that `runs[0]` needs no check.
   * @throws TestEngineError for an id that no run has.
   */
  run(runId: string | undefined): Promise<RunView> {
    return keptAlive(async () => {
      this.#check();
      const summary = typeof runId === "string" ? await this.#engine.run(runId) : null;
      if (summary !== null) return this.#view(summary);
      const runs = await this.#engine.runs();
      const known = runs.map((run) => `${run.run_id} (${run.function_id}, ${run.status})`).join(", ");
      throw new TestEngineError(
        `there is no run ${String(runId)}; there ${known === "" ? "are none" : `are ${known}`}`,
      );
    });
  }

  /** All runs there were, in the order of their start; with `of`, those of one function, or of its id. */
  runs(of?: EddyFunction | string): Promise<readonly RunView[]> {
    const id = typeof of === "object" ? of.id : of;
    return keptAlive(async () => {
      this.#check();
      const views = await Promise.all((await this.#engine.runs()).map((summary) => this.#view(summary)));
      return id === undefined ? views : views.filter((run) => run.function === id);
    });
  }

  /**
   * From now on the step does this instead of what it would do, in every attempt. An id used several times in a run
   * (`mail`, `mail:1`, ...) means all of them, `mail:1` that one alone.
   * @throws TestEngineError for a function or step that there is not.
   * @example
   * ```ts
   * import { type TestEngine } from "@eddy/sdk/testing";
   *
   * declare const t: TestEngine;
   * t.replaceStep("charge", (amount: number) => ({ receipt: `r-${amount}` }));
   * t.replaceStep("mail", () => "sent", { in: "remind" }); // Of this function alone.
   * t.failStep("charge", new Error("503"), { times: 2 }); // Two attempts fail; the third does what is said above.
   * t.restoreStep("mail", { in: "remind" }); // As it was before.
   * ```
   */
  replaceStep(stepId: string, body: StepBody, choice: StepChoice = {}): void {
    this.#doubles.replace(stepId, body, choice);
  }

  /**
   * From now on attempts of the step fail with this error, `times` of them; after that it does what it did before. Retries
   * are due later: `advance`. NonRetriableError and RetryAfterError mean what they always mean.
   * @throws TestEngineError as `replaceStep`, and for what is no Error.
   */
  failStep(stepId: string, error: Error, options: FailureOptions = {}): void {
    this.#doubles.fail(stepId, error, options);
  }

  /**
   * The step is itself again: what `replaceStep` and `failStep` said with the same `in` no longer counts.
   * @throws TestEngineError as `replaceStep`.
   */
  restoreStep(stepId: string, choice: StepChoice = {}): void {
    this.#doubles.restore(stepId, choice);
  }

  /** Ends it, and what runs in it. Idempotent. @throws what was wrong with the engine, where something was. */
  close(): Promise<void> {
    this.#closing ??= keptAlive(() => this.#close());
    return this.#closing;
  }

  async #close(): Promise<void> {
    const trouble = this.#trouble;
    await this.#worker.close();
    this.#client.divert(null);
    await this.#sender.close();
    await this.#engine.close();
    if (trouble !== null) throw trouble;
  }

  async #view(summary: Parameters<typeof viewOf>[0]): Promise<RunView> {
    const timeline = await this.#engine.timeline(summary.run_id);
    const { sealing } = this.#client;
    const opened = sealing === null ? { summary, timeline } : openedRun(sealing, summary, timeline);
    return viewOf(opened.summary, opened.timeline, (id) => {
      const event = this.#delivery.eventOf(id);
      return event === null || sealing === null ? event : sealing.openedEvent(event);
    });
  }

  #move(target: () => number): Promise<void> {
    const moved = keptAlive(() => this.#lastMove.then(() => this.#moveTo(target)));
    this.#lastMove = moved.catch(() => undefined);
    return moved;
  }

  async #moveTo(target: () => number): Promise<void> {
    await this.#settle();
    const targetMs = target();
    for (;;) {
      const dueMs = this.#engine.nextDueMs;
      if (dueMs === null || dueMs > targetMs) break;
      await this.#engine.moveTo(dueMs);
      await this.#settle();
    }
    await this.#engine.moveTo(targetMs);
    await this.#settle();
  }

  /** Resolves when nothing more can happen at this time. */
  async #settle(): Promise<void> {
    const engine = this.#engine;
    const appendsMax = engine.appends + APPENDS_MAX;
    let seen = { appends: -1, atMs: 0 };
    for (let idleTurns = 0; ; idleTurns += 1) {
      this.#check();
      if (this.#isQuiet) {
        if (engine.nextDueMs === null || engine.nextDueMs > engine.nowMs) return;
        await engine.moveTo(engine.nowMs);
      }
      if (engine.appends !== seen.appends) {
        seen = { appends: engine.appends, atMs: TEST_CLOCK.nowMs() };
        idleTurns = 0;
      }
      if (engine.appends > appendsMax) throw new TestEngineError(NO_END);
      if (TEST_CLOCK.nowMs() - seen.atMs > this.#patienceMs) throw new TestEngineError(this.#whatHangs());
      await new Promise<void>((resolve) => {
        if (idleTurns < BUSY_TURNS) TEST_CLOCK.nextTurn(resolve);
        else TEST_CLOCK.after(1, resolve);
      });
    }
  }

  /** What waits for an engine that has failed would wait in vain. */
  async #unlessBroken<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const over = (): void => void (isOver = true);
    work.then(over, over);
    while (!isOver) {
      this.#check();
      await new Promise<void>((resolve) => TEST_CLOCK.nextTurn(resolve));
    }
    return work;
  }

  get #isQuiet(): boolean {
    return this.#worker.running === 0 && this.#delivery.underWay === 0 && this.#engine.isQuiet;
  }
  get #trouble(): Error | null {
    return this.#engine.failure ?? this.#transport.trouble;
  }

  #check(): void {
    if (this.#closing !== null) throw new TestEngineError("this test engine is closed");
    const trouble = this.#trouble;
    if (trouble === null) return;
    throw new TestEngineError(`the engine under test does not work any more: ${trouble.message}`, { cause: trouble });
  }

  #whatHangs(): string {
    const steps = this.#doubles.running;
    const running = this.#worker.running;
    const what =
      steps.length > 0
        ? `still runs: ${steps.join("; ")}`
        : running > 0
          ? `${running} handler(s) await something that is no step and does not end`
          : "the engine itself does not come to rest";
    return `nothing has happened for ${this.#patienceMs} ms, and ${what}. If that is right, raise patienceMs`;
  }
}

const NO_END =
  `more than ${APPENDS_MAX} records were written without coming to rest: ` +
  "does a function send the event that starts it?";

function startOf({ functions, now = Date.now() }: TestEngineOptions): number {
  if (functions.length === 0) throw new TestEngineError("testEngine: functions: expected at least one");
  for (const [i, fn] of functions.entries()) {
    if (fn instanceof EddyFunction) continue;
    throw new TestEngineError(`testEngine: functions[${i}]: expected what createFunction returns`);
  }
  const twice = repeatedId(functions);
  if (twice !== undefined) throw new TestEngineError(`testEngine: functions: ${JSON.stringify(twice)} is given twice`);
  const startMs = new Date(now).getTime();
  if (Number.isNaN(startMs)) throw new TestEngineError(`testEngine: now: ${String(now)} is not a point in time`);
  return startMs;
}
