/**
 * How far one invocation goes. A function goes on inline, step after step; a strict one does what it asks for at once,
 * one step or several in parallel, and then yields, so that the engine looks at its log before each further step.
 */
export class Pace {
  readonly #isStrict: boolean;
  #running = 0;
  #results = 0;
  #hasGoneOn = false;

  constructor(isStrict: boolean) {
    this.#isStrict = isStrict;
  }

  /** A new invocation begins. */
  reset(): void {
    this.#results = 0;
    this.#hasGoneOn = false;
  }
  /** A step's function begins. */
  started(): void {
    this.#running += 1;
  }
  /** A step's function is through. @param isResult it came to a result, and has not failed. */
  ended(isResult: boolean): void {
    this.#running -= 1;
    if (isResult) this.#results += 1;
  }
  /** The handler gets results of this invocation: what it asks for from here on is a further step. */
  goesOn(): void {
    this.#hasGoneOn = true;
  }

  /** May a step begin in this invocation? */
  get mayStart(): boolean {
    return !this.#isStrict || !this.#hasGoneOn;
  }
  /** Is the invocation over for now? Not where all its steps have failed: then the engine holds them. */
  get yields(): boolean {
    return this.#isStrict && this.#running === 0 && this.#results > 0;
  }
}
