/** `@eddy/engine/testing`: the engine that `@eddy/sdk/testing` runs users' functions on. */
export type { AppHandlers } from "./app-feed.js";
export { MemoryEngine, type MemoryEngineOptions } from "./memory-engine.js";
