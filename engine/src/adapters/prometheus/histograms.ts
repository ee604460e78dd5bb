import type { HistogramSpec } from "./spec.js";

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DISPATCH_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300];
const STEP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];
const LATE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600];
const CHECKPOINT_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const TAKEOVER_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300];
const ROWS = [1, 10, 100, 1_000, 2_500, 5_000, 10_000, 20_000, 50_000];
const BATCH = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000];

export const HISTOGRAMS = {
  eddy_batch_records: { help: "Inbox records applied between two reads.", buckets: BATCH },
  eddy_batch_seconds: { help: "How long such a batch took.", buckets: REQUEST_SECONDS },
  eddy_checkpoint_rows: { help: "Rows of one checkpoint.", buckets: ROWS },
  eddy_checkpoint_seconds: { help: "How long a checkpoint took.", buckets: CHECKPOINT_SECONDS },
  eddy_event_to_dispatch_seconds: {
    help: "From an event's append time to the step request that it caused, by a run's start or by the end of its wait.",
    labels: { function: "open" },
    buckets: DISPATCH_SECONDS,
  },
  eddy_http_request_seconds: {
    help: "How long an HTTP request took.",
    labels: { method: "open", route: "open" },
    buckets: REQUEST_SECONDS,
  },
  eddy_restore_seconds: {
    help: "How long it took to fence the former owner and to bring a partition's store up to date.",
    buckets: TAKEOVER_SECONDS,
  },
  eddy_result_to_dispatch_seconds: {
    help: "From the append time of a worker's report to the next step request of its run.",
    buckets: DISPATCH_SECONDS,
  },
  eddy_step_seconds: {
    help: "From a request, or the last report on it, to the report with a step's result; of workers connected here.",
    labels: { function: "open" },
    buckets: STEP_SECONDS,
  },
  eddy_takeover_seconds: {
    help: "For how long nobody worked on a partition that was taken over.",
    buckets: TAKEOVER_SECONDS,
  },
  eddy_timer_lateness_seconds: {
    help: "How late timers of runs fired: sleeps, waits, retries, delayed starts.",
    buckets: LATE_SECONDS,
  },
} as const satisfies Readonly<Record<string, HistogramSpec>>;
