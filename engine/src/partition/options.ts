/** Limits of one partition task. The defaults are DESIGN's; tests and the simulator narrow them. */
export interface PartitionOptions {
  /** Longest time between two checkpoints while records come in, in ms of real time. */
  readonly checkpointEveryMs: number;
  /** Changed rows that a takeover repeats at most: the frozen ones of a checkpoint under way included. */
  readonly changedRowsMax: number;
  /** Records that a takeover repeats at most, counted likewise. */
  readonly recordsMax: number;
  /** Bytes of records that a takeover repeats at most, counted likewise; bounds the memory of changed rows. */
  readonly recordBytesMax: number;
  /** Records decided between two reads of the inbox. */
  readonly batchRecordsMax: number;
  /** Timers fired before a checkpoint may come between. */
  readonly timersPerTurnMax: number;
  /** Clean rows kept in memory, in bytes. */
  readonly cacheBytesMax: number;
  /** Effects sent and not acknowledged, above which no further record is decided. */
  readonly unackedEffectsMax: number;
  readonly unackedBytesMax: number;
  /** Tries of one append or read before the task gives up; about five seconds apart in the end. */
  readonly triesMax: number;
  /** Takeovers in a row without a checkpoint between before the task gives up. */
  readonly takeoversMax: number;
  /** How far an append time may be ahead of this process's clock, in ms; Infinity: any. */
  readonly clockAheadMsMax: number;
  /** Longest single wait for records, in ms of real time. */
  readonly idleReadMsMax: number;
}

export const PARTITION_DEFAULTS: PartitionOptions = {
  checkpointEveryMs: 1_000,
  changedRowsMax: 10_000,
  recordsMax: 20_000,
  recordBytesMax: 64 * 1_048_576,
  batchRecordsMax: 1_000,
  timersPerTurnMax: 1_000,
  cacheBytesMax: 64 * 1_048_576,
  unackedEffectsMax: 20_000,
  unackedBytesMax: 32 * 1_048_576,
  triesMax: 60,
  takeoversMax: 5,
  clockAheadMsMax: 30_000,
  idleReadMsMax: 10_000,
};
