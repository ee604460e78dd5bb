/**
 * The promise that a step tool gives to a handler: a promise like any other, which also knows who waits for it, so that
 * a sleep or wait that lost a race can be withdrawn.
 *
 * What can be seen, by the language's rules:
 *  - `Promise.race`, `any`, `all` and `allSettled` read `constructor`, and at once call `then` with functions of theirs.
 *    The function for success is one and the same for all members of a race or of `any`; that for failure for all
 *    members of a race or of `all`.
 *  - `await` reads `constructor` and calls nothing. So a read without a `then` right after it is an `await`.
 *  - All else (`.then`, `.catch`, `.finally`, an async function that returns it) calls `then` with other functions.
 *
 * Invariants: `constructor` is `Promise`, so that combinators take the promise itself and no wrapper. Whatever is not
 * surely a combinator's counts as somebody who waits for good: then nothing is withdrawn.
 */
import { types } from "node:util";

type Reaction = ((value: never) => unknown) | null | undefined;

/** What a combinator gave to `then`. */
interface Link {
  readonly onFulfilled: object;
  readonly onRejected: object | null;
}

/** What the promises of one session share. */
export class Races {
  /** Called when somebody waits for a promise again that had lost. */
  readonly onWantedAgain: () => void;
  /** Functions of combinators that have been called: what they settle is settled. */
  readonly #called = new WeakSet<object>();
  /** Whose `constructor` was read, with no `then` of a step's promise since. */
  lastRead: StepPromise | null = null;

  constructor(onWantedAgain: () => void) {
    this.onWantedAgain = onWantedAgain;
  }

  onCalled(fn: object): void {
    this.#called.add(fn);
  }
  isOver({ onFulfilled, onRejected }: Link): boolean {
    return this.#called.has(onFulfilled) || (onRejected !== null && this.#called.has(onRejected));
  }
}

export class StepPromise extends Promise<unknown> {
  readonly #races: Races;
  readonly #ends: Pick<StepPromise, "fulfil" | "fail">;
  readonly #links: Link[] = [];
  #awaits = 0;
  #hasOthers = false;
  #isReacting = false;
  #state: "pending" | "fulfilled" | "rejected" = "pending";

  static {
    void Object.defineProperty(this.prototype, "constructor", {
      configurable: true,
      get(this: object) {
        if (#awaits in this && !this.#isReacting) this.#onRead();
        return Promise;
      },
    });
  }

  constructor(races: Races) {
    let ends: Pick<StepPromise, "fulfil" | "fail"> = { fulfil: () => undefined, fail: () => undefined };
    super((fulfil, fail) => (ends = { fulfil, fail }));
    this.#ends = ends;
    this.#races = races;
    // A failure that the handler does not look at is recorded all the same; it must not end the process.
    void this.#react(undefined, () => undefined);
  }

  override then<A = unknown, B = never>(
    onFulfilled?: ((value: unknown) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const wasRead = this.#races.lastRead === this;
    if (wasRead) this.#awaits -= 1;
    const wasLost = this.isLost;
    if (wasRead && isBuiltIn(onFulfilled)) this.#link({ onFulfilled, onRejected: onRejected ?? null });
    else this.#hasOthers = true;
    if (wasLost && !this.isLost) this.#races.onWantedAgain();
    return this.#react(onFulfilled, onRejected) as Promise<A | B>;
  }

  fulfil(value: unknown): void {
    this.#state = "fulfilled";
    for (const { onFulfilled } of this.#links) this.#races.onCalled(onFulfilled);
    this.#ends.fulfil(value);
  }
  fail(error: Error): void {
    this.#state = "rejected";
    for (const { onRejected } of this.#links) if (onRejected !== null) this.#races.onCalled(onRejected);
    this.#ends.fail(error);
  }

  /** Does anybody wait for it to whom it would make a difference? */
  get isWanted(): boolean {
    return this.#awaits > 0 || this.#hasOthers || this.#links.some((link) => !this.#races.isOver(link));
  }
  /** Somebody waited for it, and nobody does any more. */
  get isLost(): boolean {
    return this.#links.length > 0 && !this.isWanted;
  }

  #link(link: Link): void {
    this.#links.push(link);
    if (this.#state === "fulfilled") this.#races.onCalled(link.onFulfilled);
    if (this.#state === "rejected" && link.onRejected !== null) this.#races.onCalled(link.onRejected);
  }

  #onRead(): void {
    const wasLost = this.isLost;
    this.#awaits += 1;
    this.#races.lastRead = this;
    if (wasLost) this.#races.onWantedAgain();
  }

  /** `then` of every promise. It reads `constructor` too, which says nothing. */
  #react(onFulfilled: Reaction, onRejected: Reaction): Promise<unknown> {
    this.#isReacting = true;
    const derived = super.then(onFulfilled as never, onRejected as never);
    this.#isReacting = false;
    this.#races.lastRead = null;
    return derived;
  }
}

const BUILT_IN = /^function \(\) \{\s*\[native code\]\s*\}$/;

/** The functions of combinators are built-in and nameless; a bound function has a name. */
function isBuiltIn(fn: unknown): fn is (value: unknown) => never {
  if (typeof fn !== "function" || fn.name !== "" || types.isProxy(fn)) return false;
  return BUILT_IN.test(Function.prototype.toString.call(fn));
}
