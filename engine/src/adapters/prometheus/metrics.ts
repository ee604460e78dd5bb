/** Every metric that Eddy has: what it means, its labels, the buckets of histograms. In base units: seconds, bytes. */

export interface MetricSpec {
  readonly help: string;
  readonly labels?: readonly string[];
  /** Of a histogram: upper bounds, ascending. */
  readonly buckets?: readonly number[];
}

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const CHECKPOINT_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const TAKEOVER_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300];
const ROWS = [1, 10, 100, 1_000, 2_500, 5_000, 10_000, 20_000, 50_000];

export const COUNTERS: Readonly<Record<string, MetricSpec>> = {
  eddy_append_retries_total: { help: "Appends of effects that were tried again." },
  eddy_checkpoints_total: { help: "Checkpoints of partitions that were committed." },
  eddy_dead_letters_total: { help: "Inbox records that could not be processed." },
  eddy_effects_total: { help: "Effects that left partitions.", labels: ["kind"] },
  eddy_events_accepted_total: { help: "Events that senders were told are in the log." },
  eddy_http_requests_total: { help: "HTTP requests answered.", labels: ["method", "route", "status"] },
  eddy_inbox_appended_records_total: { help: "Records that this process appended to inboxes." },
  eddy_past_reads_total: { help: "Reads of a partition's own inbox for events that nobody had kept." },
  eddy_past_records_total: { help: "Inbox records that were read again for them." },
  eddy_records_total: { help: "Inbox records applied." },
  eddy_rejections_total: { help: "Inputs that changed nothing, by the reason.", labels: ["code"] },
  eddy_step_requests_delivered_total: { help: "Step requests handed to workers.", labels: ["app"] },
  eddy_takeovers_total: { help: "Takeovers of partitions that were begun." },
  eddy_ticks_total: { help: "Ticks appended to idle inboxes for due timers." },
  eddy_timers_fired_total: { help: "Timers that fired." },
};

export const HISTOGRAMS: Readonly<Record<string, MetricSpec>> = {
  eddy_checkpoint_rows: { help: "Rows of one checkpoint.", buckets: ROWS },
  eddy_checkpoint_seconds: { help: "How long a checkpoint took.", buckets: CHECKPOINT_SECONDS },
  eddy_http_request_seconds: {
    help: "How long an HTTP request took.",
    labels: ["method", "route"],
    buckets: REQUEST_SECONDS,
  },
  eddy_takeover_seconds: {
    help: "For how long nobody worked on a partition that was taken over.",
    buckets: TAKEOVER_SECONDS,
  },
};

export const GAUGES: Readonly<Record<string, MetricSpec>> = {
  eddy_ready: { help: "1 while every part of this process does its work." },
  eddy_partitions: { help: "Partitions of this process.", labels: ["status"] },
  eddy_workers_connected: { help: "Workers connected to this process.", labels: ["app"] },
  eddy_steps_in_flight: { help: "Step requests that this process's workers have.", labels: ["app"] },
};
