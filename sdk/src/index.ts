/**
 * Eddy's SDK: define durable functions, send events, run a worker. `@eddy/sdk/inngest` is the same, with the client under
 * the name `Inngest` too.
 * @module sdk
 */
export { Eddy, type AnyEddy, type ByName, type EddyOptions } from "./define/client.js";
export { EddyFunction } from "./define/eddy-function.js";
export {
  eventType,
  staticSchema,
  type EddyEvent,
  type EventPayload,
  type EventType,
  type EventTypeOptions,
} from "./define/event-type.js";
export type { Jsonify, StepResult } from "./define/jsonify.js";
export type { Logger } from "./define/logger.js";
export type {
  CancelOn,
  CurrentStep,
  DeclaredWaitOption,
  EventOf,
  EventRef,
  FunctionOptions,
  Handler,
  HandlerContext,
  Listening,
  PayloadFor,
  SinceOption,
  StepId,
  Steps,
  TimeoutOption,
  Trigger,
  WaitOptions,
} from "./define/types.js";
export {
  ConnectError,
  DefinitionError,
  EddyError,
  NonDeterminismError,
  SDK_ERROR_CODES,
  SendError,
  type SdkErrorCode,
} from "./errors/eddy-error.js";
export { NonRetriableError, RetryAfterError, StepError } from "./errors/user-errors.js";
export type { KafkaOptions } from "./kafka/kafka-options.js";
export type { SchemaRegistryOptions } from "./define/schema-registry.js";
export type { SendReply } from "./protocol/event-sender.js";
export { aes256Gcm, type KeyRing, type PayloadCipher, type SealedPayload } from "./sealing/payload-cipher.js";
export type { EncryptionOptions } from "./sealing/sealing.js";
export { connect, type ConnectionState, type ConnectOptions, type WorkerConnection } from "./worker/connect.js";
