/** Gauges. All are taken when they are asked for; one with labels has only what is true then. */
import type { MetricSpec } from "./spec.js";

const PARTITION = { partition: "open" } as const;
const FUNCTION = { function: "open" } as const;
const APP = { app: "open" } as const;
const SOURCE = { source: "open" } as const;
const STATES = ["starting", "running", "failed"] as const;

export const GAUGES = {
  eddy_cache_bytes: { help: "Memory that cached rows of all partitions here take, roughly." },
  eddy_checkpoint_age_seconds: {
    help: "For how long there is something that no checkpoint has; 0: there is nothing.",
    labels: PARTITION,
  },
  eddy_clock_ahead_seconds: {
    help: "By how much the log's append times are ahead of this process's clock; above 30 s the partition stops.",
    labels: PARTITION,
  },
  eddy_disk_free_bytes: { help: "Free space of the file system that the data directory is on." },
  eddy_disk_size_bytes: { help: "Its size." },
  eddy_inbox_lag_records: { help: "Inbox records that are not applied yet.", labels: PARTITION },
  eddy_inbox_lag_seconds: {
    help: "How long ago the first record not applied yet was appended, at most; 0: all are applied.",
    labels: PARTITION,
  },
  eddy_next_timer_due_timestamp_seconds: {
    help: "When the next timer is due, by the log's clock; absent: there is none.",
    labels: PARTITION,
  },
  eddy_partition_state: {
    help: "1 at the state that a partition of this process is in.",
    labels: { ...PARTITION, state: STATES },
  },
  eddy_partition_stopped: {
    help: "1 where nobody works on a partition of this process, and why; absent: somebody does.",
    labels: { ...PARTITION, code: "open" },
  },
  eddy_partition_takeover_age_seconds: {
    help: "For how long a partition of this process is being taken over; absent: it is not.",
    labels: PARTITION,
  },
  eddy_partitions: { help: "Partitions of this process.", labels: { status: STATES } },
  eddy_ready: { help: "1 while every part of this process does its work." },
  eddy_runs_executing: { help: "Live runs that a worker has, or is to get next.", labels: FUNCTION },
  eddy_runs_open: { help: "Live runs.", labels: FUNCTION },
  eddy_sleeps_open: { help: "Sleeps that have not ended.", labels: FUNCTION },
  eddy_source_lag_records: {
    help: "Records of a user's topic that are not taken yet, of the partitions that this process reads.",
    labels: SOURCE,
  },
  eddy_source_lag_seconds: {
    help: "For how long the partition of those that is furthest behind has not been at its end; 0: all are taken.",
    labels: SOURCE,
  },
  eddy_source_partitions: { help: "Partitions of a user's topic that this process reads.", labels: SOURCE },
  eddy_source_up: {
    help: "1 while nothing keeps this process from taking a source's records; 0: its log says what does.",
    labels: SOURCE,
  },
  eddy_steps_in_flight: { help: "Step requests that workers connected here have.", labels: APP },
  eddy_steps_waiting: {
    help: "Step requests that no worker's heartbeat has named yet: they wait for a worker, or went out just now.",
    labels: { ...APP, ...FUNCTION },
  },
  eddy_store_bytes: {
    help: "Size of the data directory's files, told every half minute.",
    labels: { store: ["state", "history", "log", "other"] },
  },
  eddy_timers_overdue_seconds: {
    help: "How long ago the next timer was due; 0: it is not due yet, or there is none.",
    labels: PARTITION,
  },
  eddy_timers_pending: { help: "Timers that have not fired, those that keep house included.", labels: PARTITION },
  eddy_waits_open: { help: "Waits for an event that have not ended.", labels: FUNCTION },
  eddy_worker_slots: { help: "Step requests that workers connected here may have at once.", labels: APP },
  eddy_worker_slots_free: { help: "Of those, free ones of workers that take requests.", labels: APP },
  eddy_workers_connected: { help: "Workers connected to this process.", labels: APP },
} as const satisfies Readonly<Record<string, MetricSpec>>;
