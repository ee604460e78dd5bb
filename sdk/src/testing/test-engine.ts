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
import { EddyFunction } from "../define/eddy-function.js";
import type { EventPayload, Untyped } from "../define/event-type.js";
import type { Logger } from "../define/logger.js";
import type { OneOrMore } from "../define/types.js";
import type { EventSender } from "../protocol/event-sender.js";
import { currentStep } from "../step/current-step.js";
import { Worker } from "../worker/worker.js";
import { MemoryDelivery } from "./memory-delivery.js";
import { MemoryTransport } from "./memory-transport.js";
import { viewOf, type RunView } from "./run-view.js";
import { StepDoubles, type FailureOptions, type StepBody, type StepChoice } from "./step-doubles.js";
import { keptAlive, TEST_CLOCK } from "./test-clock.js";
import { TestEngineError } from "./test-engine-error.js";

export interface TestEngineOptions {
  /** All of one app. */
  readonly functions: readonly EddyFunction[];
  /**
   * The functions' client. Given, what it sends while the test engine is open goes there too, also inside of steps, and
   * its `schemas` are checked. Give it to one test engine at a time. Default: a client of the test engine's own.
   */
  readonly client?: TestedClient | undefined;
  /** When virtual time begins. Default: now. */
  readonly now?: Date | number | string | undefined;
  /** How long nothing may happen, in ms of real time, while a step or handler still runs. Default 4,000. */
  readonly patienceMs?: number | undefined;
  /**
   * As for `connect`, in ms of real time: how long a handler may take for work of its own beside a sleep or wait, before it
   * is thought to have none. Each sleep or wait of a parallel group that ends takes a test that long. Default 50.
   */
  readonly idleGraceMs?: number | undefined;
  /** Gets the lines of engine and worker, such as failed attempts. Default: nobody. A handler's own go where they always go. */
  readonly logger?: Logger | undefined;
}

/** As much of a client as is needed here. */
export type TestedClient = Pick<Eddy<Untyped>, "id" | "send" | "openSender" | "divert">;

export interface Sent {
  /** Of the events, in their order. */
  readonly ids: readonly string[];
  /** Ids of the runs that they started, in the same order. */
  readonly runs: readonly string[];
}

const DEFAULTS = { patienceMs: 4_000, idleGraceMs: 50 } as const;
/** The log of one call: who writes more sends events to itself. */
const APPENDS_MAX = 200_000;
/** Looks at each turn of the event loop since something happened; after them, each is 1 ms after the one before. */
const BUSY_TURNS = 200;
const SILENT: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * Starts functions in memory, in virtual time: `await testEngine({ functions: [cartAbandonment] })`. Close it.
 * @throws TestEngineError without functions; ConnectError for functions that an engine would refuse.
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
        transport: this.#transport,
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

  /** Called by `testEngine`. */
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
   * waits that end, retries, events sent with a `ts` in between, and what follows from them.
   * @param by ms, or a duration such as "24h" or "3 days".
   */
  advance(by: number | string): Promise<void> {
    const ms = parseDuration(by);
    return this.#move(() => this.#engine.nowMs + ms);
  }

  /** As `advance`, to a point in time. @throws TestEngineError for one that lies back */
  async advanceTo(time: Date | number | string): Promise<void> {
    const atMs = new Date(time).getTime();
    if (!(atMs >= this.#engine.nowMs)) {
      throw new TestEngineError(`advanceTo: expected a time from ${this.now.toISOString()} on, got ${String(time)}`);
    }
    await this.#move(() => atMs);
  }

  /** A run as it is now. @throws TestEngineError for an id that no run has. */
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

  /** All runs there were, in the order of their start; of one function, where one is given. */
  runs(of?: EddyFunction | string): Promise<readonly RunView[]> {
    const id = typeof of === "object" ? of.id : of;
    return keptAlive(async () => {
      this.#check();
      const views = await Promise.all((await this.#engine.runs()).map((summary) => this.#view(summary)));
      return id === undefined ? views : views.filter((run) => run.function === id);
    });
  }

  /**
   * From now on the step does this instead of what it would do, in every attempt. A step used several times is meant as
   * a whole by its id, one by one as `mail`, `mail:1`, ...
   * @throws TestEngineError for a function or step that there is not.
   */
  replaceStep(stepId: string, body: StepBody, choice: StepChoice = {}): void {
    this.#doubles.replace(stepId, body, choice);
  }

  /**
   * From now on attempts of the step fail with this error, `times` of them; NonRetriableError and RetryAfterError mean
   * what they always mean. @throws TestEngineError as `replaceStep`
   */
  failStep(stepId: string, error: Error, options: FailureOptions = {}): void {
    this.#doubles.fail(stepId, error, options);
  }

  /** The step is itself again. @throws TestEngineError as `replaceStep` */
  restoreStep(stepId: string, choice: StepChoice = {}): void {
    this.#doubles.restore(stepId, choice);
  }

  /** Idempotent. @throws what was wrong with the engine */
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
    return viewOf(summary, timeline, (id) => this.#delivery.eventOf(id));
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
  for (const fn of functions) {
    if (fn instanceof EddyFunction) continue;
    throw new TestEngineError("testEngine: functions: expected what createFunction returns");
  }
  const startMs = new Date(now).getTime();
  if (Number.isNaN(startMs)) throw new TestEngineError(`testEngine: now: ${String(now)} is not a point in time`);
  return startMs;
}
