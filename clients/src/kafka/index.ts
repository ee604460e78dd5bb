export { KafkaLog } from "./kafka-log.js";
export type { GroupTimes } from "./group-coordinator.js";
export type { KafkaLogOptions } from "./kafka-log.js";
export { KAFKA_RECORD_BYTES_MAX } from "./limits.js";
export { oauthTokens, type OAuthClient } from "./oauth-token.js";
