/** Every size, count and length that Eddy bounds, in one place. Names put the unit last; `Max` bounds are inclusive. */
export const LIMITS = {
  /**
   * One record that we write, whatever is in it, in bytes with its key: a row, an effect, a history entry, a report.
   * Kafka takes up to 6 MiB; the bounds below keep everything that users can make large under this one.
   */
  recordBytesMax: 5.5 * 1_048_576,
  /** Events in one HTTP request. */
  eventsPerRequestMax: 5_000,
  /** One event, as JSON text in UTF-8 bytes. */
  eventBytesMax: 1_048_576,
  /** One HTTP request body in bytes. */
  requestBytesMax: 64 * 1_048_576,
  eventNameCharsMax: 256,
  eventIdCharsMax: 256,
  stepIdCharsMax: 256,
  appCharsMax: 128,
  runIdCharsMax: 64,
  cancelReasonCharsMax: 1_024,
  /** `app/function`. */
  functionIdCharsMax: 257,
  /** Runs of one page of a list: what is given where nobody says, and at most. */
  runsPerPage: 20,
  runsPerPageMax: 100,
  /** Runs that an engine looks at for one page: then the page ends, and its cursor goes on from there. */
  runsExaminedMax: 2_000,
  cursorCharsMax: 256,
  functionsPerAppMax: 1_000,
  /** Configuration of one app: characters of JSON. */
  configBytesMax: 1_048_576,
  /** All apps of a namespace as they are registered: bytes of JSON. One row of each partition. */
  registryBytesMax: 5 * 1_048_576,
  /** Listened-to paths of former registrations of an app that senders still route by. */
  retiredWaitsMax: 1_000,
  /** Functions of an app as former registrations had them: bytes of JSON. */
  formerBytesMax: 131_072,
  triggersPerFunctionMax: 10,
  cancelRulesPerFunctionMax: 5,
  waitsPerFunctionMax: 50,
  /** Waits of an app that its runs made without having declared them, by (function, event name, path). */
  learnedWaitsPerAppMax: 1_000,
  /** One CEL condition. */
  conditionCharsMax: 4_096,
  /** What a condition on another partition needs of the triggering event, as JSON. */
  givenBytesMax: 65_536,
  /** Names of the paths by which events of one name are routed, in bytes. */
  routeBytesMax: 262_144,
  /** Match values of an event with their paths, in characters: an event of its largest size has less. */
  matchValuesCharsMax: 1_250_000,
  /** Routes that are settling on a partition and told apart; beyond, no wait times out until all are settled. */
  settlingBytesMax: 1_048_576,
  retriesMax: 20,
  stepsPerRunMax: 1_000,
  stepResultBytesMax: 4 * 1_048_576,
  /** What a run keeps: its event, its results, what it waits for, and their names. Counted at its largest. */
  runStateBytesMax: 32 * 1_048_576,
  /** As much of it as lies in the run's own row, which is written anew with each of its steps. Counted at its largest. */
  runRowBytesMax: 5 * 1_048_576,
  /** Data of one settled step that lies in the run's own row; more has a row of its own. */
  resultInlineBytesMax: 32_768,
  /** Data of all of them there: once it is more, what comes has rows of its own, whatever its size. */
  runInlineBytesMax: 1_048_576,
  /** Memo entries of one part of a request that does not fit one record. Counted at its largest; a larger entry goes alone. */
  requestPartBytesMax: 5 * 1_048_576,
  /**
   * A run whose event and settled steps come to no more than this is sent whole each time: whoever gets it need not ask
   * for what it lacks.
   */
  wholeRequestBytesMax: 4 * 1_024,
  /** Sleep or wait, in milliseconds: 366 days. */
  timeoutMsMax: 366 * 86_400_000,
  /** Events kept for lookback per key and event name. */
  keptEventsMax: 1_000,
  keptBytesMax: 8 * 1_048_576,
  /** Subscriptions in one row; more go to overflow rows (chunks). */
  subscriptionsPerChunkMax: 64,
  /** Live runs that may listen at one key and event name. */
  subscriptionsPerKeyMax: 20_000,
  /** Event ids in one row of a time bucket. */
  idsPerChunkMax: 256,
  /** Deliveries of one app that are still to be swept; more share a sweep with the one before. */
  sweepsPerAppMax: 1_000,
  /** Runs examined by one sweep of expired deliveries. */
  sweepRunsMax: 500,
  /** What these runs keep, all together: they are sent whole. One is swept whatever it keeps. */
  sweepBytesMax: 64 * 1_048_576,
  partitionsMax: 4_096,
  /** Records of its own inbox that a partition reads again to find what nobody kept. */
  pastRecordsMax: 200_000,
  /** And what it takes of them for one question, in bytes of their records: the newest. */
  pastBytesMax: 32 * 1_048_576,
} as const;

/** How far back a partition reads its own inbox again, in ms of append time. */
export const PAST_MS_MAX = 600_000;
/**
 * How far the clocks of two brokers may differ, in ms: an event on another partition than its run counts for a wait if
 * it was logged at most this much before the run's mark.
 */
export const BROKER_SKEW_MS = 1_000;
/** How often a wait whose time is up looks whether all events of its route have arrived, in ms of stream time. */
export const SETTLE_POLL_MS = 1_000;
/**
 * How long after a registration a sender may still send by the routes before it, in ms of append time: the age of its
 * view, and its retries. Where a namespace does not say otherwise.
 */
export const SETTLE_MS = 20_000;

/** How long a worker may go without a heartbeat before its request is delivered again, in ms of log append time. */
export const LEASE_MS = 60_000;
/** How often a worker lists its running steps, in ms. */
export const HEARTBEAT_MS = 20_000;
/** How long event ids are remembered, in ms of stream time. */
export const ID_WINDOW_MS = { generated: 600_000, user: 86_400_000 } as const;
/** Width of a time bucket of event ids, in ms. */
export const ID_BUCKET_MS = { generated: 60_000, user: 3_600_000 } as const;
