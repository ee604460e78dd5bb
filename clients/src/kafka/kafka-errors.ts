/**
 * What each error of a broker or of kafkajs means for us: one table by Kafka's numbers, one by kafkajs's names.
 *
 *   retry        the same request may succeed shortly
 *   leader       likewise, once the metadata is fresh: somebody else leads the partition, or nobody does at present
 *   coordinator  likewise, once the group's or transaction's coordinator is looked up again
 *   fenced       another producer has the transactional id, or the group has gone on without this member
 *   range        the offset is not there
 *   record       the broker refuses these records and has stored nothing
 *   config       somebody has to change settings or permissions
 *   lost         what the broker knew of this producer is gone: a new one is needed
 *   bug          we should not have asked so; unknown numbers are this too: unknown means not retriable
 */
import {
  BadRecordError,
  ConfigError,
  EddyError,
  FencedError,
  InvariantViolation,
  OffsetOutOfRangeError,
  TransientError,
} from "../errors/codes.js";
import { TokenRefusedError, TokenUnavailableError } from "./oauth-token.js";
import { WireError } from "./wire.js";

export type Verdict = "retry" | "leader" | "coordinator" | "fenced" | "range" | "record" | "config" | "lost" | "bug";

/** By Kafka's error number. */
export const BROKER_ERRORS: Readonly<Record<number, readonly [name: string, verdict: Verdict]>> = {
  [-1]: ["UNKNOWN_SERVER_ERROR", "retry"],
  1: ["OFFSET_OUT_OF_RANGE", "range"],
  2: ["CORRUPT_MESSAGE", "retry"],
  3: ["UNKNOWN_TOPIC_OR_PARTITION", "leader"],
  5: ["LEADER_NOT_AVAILABLE", "leader"],
  6: ["NOT_LEADER_OR_FOLLOWER", "leader"],
  7: ["REQUEST_TIMED_OUT", "retry"],
  8: ["BROKER_NOT_AVAILABLE", "leader"],
  9: ["REPLICA_NOT_AVAILABLE", "leader"],
  10: ["MESSAGE_TOO_LARGE", "record"],
  12: ["OFFSET_METADATA_TOO_LARGE", "bug"],
  13: ["NETWORK_EXCEPTION", "leader"],
  14: ["COORDINATOR_LOAD_IN_PROGRESS", "retry"],
  15: ["COORDINATOR_NOT_AVAILABLE", "coordinator"],
  16: ["NOT_COORDINATOR", "coordinator"],
  17: ["INVALID_TOPIC_EXCEPTION", "config"],
  18: ["RECORD_LIST_TOO_LARGE", "record"],
  19: ["NOT_ENOUGH_REPLICAS", "retry"],
  20: ["NOT_ENOUGH_REPLICAS_AFTER_APPEND", "retry"],
  22: ["ILLEGAL_GENERATION", "fenced"],
  23: ["INCONSISTENT_GROUP_PROTOCOL", "config"],
  24: ["INVALID_GROUP_ID", "config"],
  25: ["UNKNOWN_MEMBER_ID", "fenced"],
  26: ["INVALID_SESSION_TIMEOUT", "config"],
  27: ["REBALANCE_IN_PROGRESS", "retry"],
  29: ["TOPIC_AUTHORIZATION_FAILED", "config"],
  30: ["GROUP_AUTHORIZATION_FAILED", "config"],
  31: ["CLUSTER_AUTHORIZATION_FAILED", "config"],
  33: ["UNSUPPORTED_SASL_MECHANISM", "config"],
  34: ["ILLEGAL_SASL_STATE", "retry"],
  35: ["UNSUPPORTED_VERSION", "config"],
  36: ["TOPIC_ALREADY_EXISTS", "retry"],
  37: ["INVALID_PARTITIONS", "config"],
  38: ["INVALID_REPLICATION_FACTOR", "config"],
  40: ["INVALID_CONFIG", "config"],
  41: ["NOT_CONTROLLER", "leader"],
  42: ["INVALID_REQUEST", "bug"],
  44: ["POLICY_VIOLATION", "config"],
  45: ["OUT_OF_ORDER_SEQUENCE_NUMBER", "lost"],
  46: ["DUPLICATE_SEQUENCE_NUMBER", "lost"],
  47: ["INVALID_PRODUCER_EPOCH", "fenced"],
  48: ["INVALID_TXN_STATE", "lost"],
  49: ["INVALID_PRODUCER_ID_MAPPING", "lost"],
  50: ["INVALID_TRANSACTION_TIMEOUT", "config"],
  51: ["CONCURRENT_TRANSACTIONS", "retry"],
  52: ["TRANSACTION_COORDINATOR_FENCED", "coordinator"],
  53: ["TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "config"],
  54: ["SECURITY_DISABLED", "config"],
  56: ["KAFKA_STORAGE_ERROR", "leader"],
  58: ["SASL_AUTHENTICATION_FAILED", "config"],
  59: ["UNKNOWN_PRODUCER_ID", "lost"],
  74: ["FENCED_LEADER_EPOCH", "leader"],
  75: ["UNKNOWN_LEADER_EPOCH", "leader"],
  76: ["UNSUPPORTED_COMPRESSION_TYPE", "bug"],
  78: ["OFFSET_NOT_AVAILABLE", "leader"],
  87: ["INVALID_RECORD", "record"],
  79: ["MEMBER_ID_REQUIRED", "retry"],
  81: ["GROUP_MAX_SIZE_REACHED", "config"],
  88: ["UNSTABLE_OFFSET_COMMIT", "retry"],
  89: ["THROTTLING_QUOTA_EXCEEDED", "retry"],
  90: ["PRODUCER_FENCED", "fenced"],
  100: ["UNKNOWN_TOPIC_ID", "leader"],
  103: ["INCONSISTENT_TOPIC_ID", "leader"],
  120: ["TRANSACTION_ABORTABLE", "lost"],
};

/** By the name of kafkajs's error, where there is no number. */
export const KAFKAJS_ERRORS: Readonly<Record<string, Verdict>> = {
  KafkaJSConnectionError: "leader",
  KafkaJSConnectionClosedError: "leader",
  KafkaJSRequestTimeoutError: "leader",
  KafkaJSLockTimeout: "leader",
  KafkaJSBrokerNotFound: "leader",
  KafkaJSSASLAuthenticationError: "config",
  KafkaJSServerDoesNotSupportApiKey: "config",
};

/** A certificate that is not accepted does not get better. */
const TLS_REFUSALS =
  /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_)|EPROTO/;

/** An answer of a broker with this number; never leaves the adapter. */
export class BrokerError extends Error {
  override readonly name = "BrokerError";
  readonly code: number;

  constructor(code: number, detail: string | null = null) {
    super(`${BROKER_ERRORS[code]?.[0] ?? `Kafka error ${code}`}${detail === null ? "" : `: ${detail}`}`);
    this.code = code;
  }
}

/** A request was not answered in time, or its connection was lost; never leaves the adapter. */
export class UnansweredError extends Error {
  override readonly name = "UnansweredError";
}

interface Loose {
  readonly name: string;
  readonly message: string;
  readonly code?: unknown;
  readonly cause?: unknown;
}

/** What `error`, thrown by a request, means. Anything of ours that is thrown on purpose is a bug here. */
export function verdictOf(error: unknown): Verdict {
  if (!(error instanceof Error)) return "bug";
  if (error instanceof UnansweredError || error instanceof TokenUnavailableError) return "leader";
  if (error instanceof TokenRefusedError) return "config";
  if (error instanceof WireError) return "bug";
  const { name, message, code, cause } = error as Loose;
  if (typeof code === "string" && TLS_REFUSALS.test(code)) return "config";
  const number = typeof code === "number" ? brokerCode(code, message) : null;
  if (number !== null) return BROKER_ERRORS[number]?.[1] ?? "bug";
  const known = KAFKAJS_ERRORS[name];
  if (known !== undefined) return known;
  return cause === undefined || cause === error ? "bug" : verdictOf(cause);
}

/** kafkajs hides numbers that it does not know behind -99, and leaves them in the text. */
function brokerCode(code: number, message: string): number {
  return code === -99 ? Number(/^Unknown error code (\d+)/.exec(message)?.[1] ?? code) : code;
}

export interface Failing {
  /** What was tried, as in "append to inbox/3". */
  readonly doing: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * The error that the port promises, for one that ends a call.
 * @param error as a request threw it; errors of ours pass through.
 */
export function portError(error: unknown, { doing, fields }: Failing): Error {
  if (error instanceof EddyError) return error;
  const verdict = verdictOf(error);
  const what = error instanceof Error ? error.message : String(error);
  const options = { cause: error };
  switch (verdict) {
    case "retry":
    case "leader":
    case "coordinator":
      return new TransientError(`Kafka did not ${doing} in time: ${what}`, fields, options);
    case "lost":
      return new TransientError(`Kafka did not ${doing}, the outcome is unknown: ${what}`, fields, options);
    case "fenced":
      return new FencedError(`another owner took over before we could ${doing}: ${what}`, fields, options);
    case "range":
      return new OffsetOutOfRangeError(`could not ${doing}: ${what}`, fields, options);
    case "record":
      return new BadRecordError(`Kafka refused to ${doing}: ${what}`, fields, options);
    case "config":
      return new ConfigError(`Kafka refused to ${doing}: ${what}; ${ADVICE}`, fields, options);
    case "bug":
      return new InvariantViolation(`could not ${doing}: ${what}`, fields, options);
  }
}

const ADVICE = "check brokers, credentials, certificates and permissions (ACLs) of this process";
