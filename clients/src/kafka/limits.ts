/** Sizes and times of the Kafka adapter. */
export const MIB = 1_048_576;

/** max.message.bytes of our topics: one append is one batch, and never more. */
export const BATCH_BYTES_MAX = 6 * MIB;
/** One record, key and value; what a batch of it alone takes besides stays below a KiB. */
export const KAFKA_RECORD_BYTES_MAX = BATCH_BYTES_MAX - 1_024;
/** Records that are gathered into one batch, and the batches of a commit, stay below this together (KAFKA.md, 6). */
export const GATHERED_BYTES_MAX = 900 * 1_024;
export const GATHERED_RECORDS_MAX = 10_000;
