/** Lets user code inside a step ask which step it is in, through any number of its own calls. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { CurrentStep } from "../define/types.js";

const storage = new AsyncLocalStorage<CurrentStep>();

export function inStep<T>(step: CurrentStep, fn: () => T): T {
  return storage.run(step, fn);
}

/** @throws Error outside of a function given to `step.run`. */
export function currentStep(): CurrentStep {
  const step = storage.getStore();
  if (step === undefined) throw new Error("step.current() is for code inside of a function given to step.run");
  return step;
}
