/**
 * What a test has put in the place of steps: other bodies, and failures. Asked each time that a step is performed; the
 * rest of the step (its record, its attempts, its errors) is as always.
 *
 * Invariants: failures go before replacements; an id with its number (`mail:1`) before the id alone (`mail`), which
 * stands for all of them; a function's own before those of all functions.
 */
import { currentStep } from "../step/current-step.js";
import { EddyFunction } from "../define/eddy-function.js";
import type { CurrentStep, StepId, Steps } from "../define/types.js";
import { TestEngineError } from "./test-engine-error.js";

/** Which steps of an id are meant, in `replaceStep`, `failStep` and `restoreStep`. */
export interface StepChoice {
  /** A function of the test engine, or its id. Default: in all of them. */
  readonly in?: EddyFunction | string | undefined;
  /**
   * The id is computed, or asked for outside of the handler's own text: take it as it is. Default: false, then an id that
   * no handler's text shows is a TestEngineError, so that no real mail goes out for a slip of the pen.
   */
  readonly unchecked?: boolean | undefined;
}
/** Which attempts fail, in `failStep`. */
export interface FailureOptions extends StepChoice {
  /** How many attempts fail from now on, counted over all runs. Default: all. */
  readonly times?: number | undefined;
}
/**
 * What a step does instead of its own. Gets what the step's own function would get: the input given to `step.run`, or, in
 * one array, the events of `step.sendEvent`. What it returns is the step's result (of a `step.sendEvent`: `{ ids }`), what
 * it throws is the attempt's error.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a double may take whatever the step's function takes
export type StepBody = (...input: any[]) => unknown;

interface Failure {
  readonly error: Error;
  timesLeft: number;
}

/** `function/step`, or `*` for any function. */
type Key = string;
const keyOf = (functionId: string, stepId: string): Key => `${functionId}/${stepId}`;
const ANY = "*";

export class StepDoubles {
  readonly #functions: readonly EddyFunction[];
  readonly #bodies = new Map<Key, StepBody>();
  readonly #failures = new Map<Key, Failure>();
  /** Performed at this moment. */
  readonly #running = new Map<CurrentStep, string>();

  constructor(functions: readonly EddyFunction[]) {
    this.#functions = functions;
  }

  /** Steps whose functions run now, in words. */
  get running(): readonly string[] {
    return [...this.#running].map(([{ runId, stepId }, of]) => `step ${JSON.stringify(stepId)} of ${of}, run ${runId}`);
  }

  /** @throws TestEngineError for a function or step that there is not */
  replace(stepId: string, body: StepBody, choice: StepChoice): void {
    if (typeof body !== "function") throw new TestEngineError("replaceStep expects a function as the step's body");
    this.#bodies.set(this.#keyOf(stepId, choice), body);
  }

  /** @throws as `replace` */
  fail(stepId: string, error: Error, { times = Infinity, ...choice }: FailureOptions): void {
    if (!(error instanceof Error)) throw new TestEngineError("failStep expects an Error for the step to throw");
    this.#failures.set(this.#keyOf(stepId, choice), { error, timesLeft: times });
  }

  /** @throws as `replace` */
  restore(stepId: string, choice: StepChoice): void {
    const key = this.#keyOf(stepId, choice);
    this.#bodies.delete(key);
    this.#failures.delete(key);
  }

  /** The same function, whose steps can be doubled. */
  wrap(fn: EddyFunction): EddyFunction {
    const handler: EddyFunction["handler"] = (context) =>
      fn.handler({ ...context, step: this.#tools(fn.id, context.step as Steps) });
    // All other parts as they are, whatever they are.
    return new EddyFunction(Object.assign({}, fn, { handler }));
  }

  /** Performs a step: `own` is what it would do by itself. Only inside of a step. */
  async perform(functionId: string, input: readonly unknown[], own: () => unknown): Promise<unknown> {
    const step = currentStep();
    this.#running.set(step, functionId);
    try {
      const keys = keysOf(functionId, step.stepId);
      const failure = firstOf(this.#failures, keys, ({ timesLeft }) => timesLeft > 0);
      if (failure !== undefined) {
        failure.timesLeft -= 1;
        throw failure.error;
      }
      const body = firstOf(this.#bodies, keys);
      return await (body === undefined ? own() : body(...(input as unknown[])));
    } finally {
      this.#running.delete(step);
    }
  }

  #tools(functionId: string, step: Steps): Steps {
    const run = (id: StepId, fn: unknown, ...input: unknown[]): unknown => {
      if (typeof fn !== "function") return step.run(id, fn as never, ...(input as never));
      const own = fn as (...args: readonly unknown[]) => unknown;
      const body = (...args: readonly unknown[]): unknown => this.perform(functionId, args, () => own(...args));
      return step.run(id, body, ...input);
    };
    return { ...step, run } as unknown as Steps;
  }

  #keyOf(stepId: string, choice: StepChoice): Key {
    const functions = this.#chosen(choice.in);
    const base = withoutNumber(stepId);
    const isKnown = functions.some((fn) => hasText(fn, stepId) || hasText(fn, base));
    if (!isKnown && choice.unchecked !== true) throw new TestEngineError(unknownStep(stepId, functions));
    return keyOf(choice.in === undefined ? ANY : (functions[0] as EddyFunction).id, stepId);
  }

  #chosen(wanted: StepChoice["in"]): readonly EddyFunction[] {
    if (wanted === undefined) return this.#functions;
    const id = typeof wanted === "string" ? wanted : wanted.id;
    const found = this.#functions.filter((fn) => fn.id === id);
    if (found.length > 0) return found;
    const known = this.#functions.map((fn) => JSON.stringify(fn.id)).join(", ");
    throw new TestEngineError(`this test engine has no function ${JSON.stringify(id)}; it has ${known}`);
  }
}

/** `mail:1` is the second step called `mail`. */
function withoutNumber(stepId: string): string {
  return stepId.replace(/:\d+$/, "");
}

/** In the order in which they are looked at. */
function keysOf(functionId: string, stepId: string): readonly Key[] {
  const ids = [...new Set([stepId, withoutNumber(stepId)])];
  return ids.flatMap((id) => [keyOf(functionId, id), keyOf(ANY, id)]);
}

function firstOf<T>(map: ReadonlyMap<Key, T>, keys: readonly Key[], fits: (value: T) => boolean = () => true) {
  return keys.map((key) => map.get(key)).find((value) => value !== undefined && fits(value));
}

/** Does the handler have it as a text of its own, other than as the id of a sleep or wait? */
function hasText({ handler }: EddyFunction, text: string): boolean {
  const source = handler.toString();
  const literals = [`"${text}"`, `'${text}'`, `\`${text}\``];
  return literals.some((literal) =>
    source
      .split(literal)
      .slice(0, -1)
      .some((before) => !WAIT_CALL.test(before)),
  );
}

const WAIT_CALL = /\.\s*(?:waitForEvent|sleep|sleepUntil)\(\s*(?:\{\s*id:\s*)?$/;
const STEP_CALL = /\.\s*(?:run|sendEvent)\(\s*(?:\{\s*id:\s*)?(["'`])((?:(?!\1).)+)\1/g;

function unknownStep(stepId: string, functions: readonly EddyFunction[]): string {
  const found = functions.flatMap(({ handler }) => [...handler.toString().matchAll(STEP_CALL)].map(([, , id]) => id));
  const known = found.length === 0 ? "" : `; there are ${found.map((id) => JSON.stringify(id)).join(", ")}`;
  const where = functions.map(({ id }) => id).join(", ");
  return (
    `no step ${JSON.stringify(stepId)} is in the text of ${where}${known}. ` +
    "Sleeps and waits have no body: advance the time, or send what is waited for. " +
    "If the step's id is computed, or it is asked for outside of the handler, say { unchecked: true }"
  );
}
