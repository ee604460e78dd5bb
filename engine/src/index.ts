/** What the package `@eddy/engine` gives to others: an engine in this process, and its configuration. */
export { CONFIG_DEFAULTS, readEngineConfig, type EngineConfig } from "./config/engine-config.js";
export { EddyError, ERROR_CODES, type ErrorCode } from "@eddy/clients/errors";
export { startEngine, type Engine, type EngineParts } from "./main.js";
export type { Readiness } from "./gateway/http-routes.js";
