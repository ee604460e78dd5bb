/**
 * What the package `@eddy/engine` gives to others: an engine in this process, and its configuration.
 * `readEngineConfig` is for an engine without Kafka, `readKafkaConfig` for one on Kafka; `startEngine` takes both.
 */
export { CONFIG_DEFAULTS, readEngineConfig, type EngineConfig } from "./config/engine-config.js";
export { readKafkaConfig, type KafkaConfigSources, type KafkaEngineConfig } from "./config/kafka-config.js";
export { EddyError, ERROR_CODES, type ErrorCode } from "@eddy/clients/errors";
export { openEngine, startEngine, type Engine, type EngineParts } from "./main.js";
export type { Readiness } from "./gateway/http-routes.js";
