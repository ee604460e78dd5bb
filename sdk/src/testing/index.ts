/** `@eddy/sdk/testing`: run functions in memory, in virtual time, in any test runner. Needs `@eddy/engine`. */
export { testEngine, type Sent, type TestEngine, type TestEngineOptions } from "./test-engine.js";
export { TestEngineError } from "./test-engine-error.js";
export type { FailureOptions, StepBody, StepChoice } from "./step-doubles.js";
export type { RunError, RunView, StepStatus, StepView, WaitView } from "./run-view.js";
