/**
 * Run functions in memory, in virtual time, in any test runner. Needs the package `@eddy/engine`.
 *
 * {@link testEngine} starts a {@link TestEngine}: the real engine, without server, port or file. Each of its calls
 * resolves when all that follows from it at this virtual time has happened, so a test never sleeps or polls.
 * @module testing
 */
export { testEngine, type TestEngine } from "./test-engine.js";
export type { Sent, TestedClient, TestEngineOptions } from "./test-engine-options.js";
export { TestEngineError } from "./test-engine-error.js";
export type { FailureOptions, StepBody, StepChoice } from "./step-doubles.js";
export type { RunError, RunView, StepStatus, StepView, WaitView } from "./run-view.js";
