import type { DashboardSpec, PanelSpec } from "./grafana.js";
import { of, one, orZero, quantiles, rate } from "./promql.js";

const perPartition = (metric: string): ReturnType<typeof one> =>
  one(`max by (partition) (${of(metric)})`, "{{partition}}");

const PARTITIONS: readonly PanelSpec[] = [
  {
    ...{ id: 1, title: "Inbox lag", unit: "short" },
    help: "Records that are not applied yet, by partition.",
    queries: perPartition("eddy_inbox_lag_records"),
  },
  {
    ...{ id: 2, title: "Inbox lag in time", unit: "s", warnAt: 5, alarmAt: 60 },
    help: "Age of the oldest of them. Normal: below a second.",
    queries: perPartition("eddy_inbox_lag_seconds"),
  },
  {
    ...{ id: 3, type: "state-timeline", title: "Partitions running", unit: "short", alarmAt: 1, isLowBad: true },
    help: "1: somebody works on it.",
    queries: one(`max by (partition) (${of("eddy_partition_state", 'state="running"')})`, "{{partition}}"),
  },
  {
    ...{ id: 4, title: "Partitions by state", unit: "short", isStacked: true },
    help: "starting: being taken over. failed: stopped until somebody acts.",
    queries: one(`sum by (status) (${of("eddy_partitions")})`, "{{status}}"),
  },
  {
    ...{ id: 5, title: "Takeover under way", unit: "s", warnAt: 60, alarmAt: 300 },
    help: "For how long a partition is being taken over. Normal: seconds with a store, a minute or so without one.",
    queries: one(orZero(`max by (partition) (${of("eddy_partition_takeover_age_seconds")})`), "{{partition}}"),
  },
  {
    ...{ id: 6, title: "Append times ahead of our clock", unit: "s", warnAt: 5, alarmAt: 30 },
    help: "Clocks of brokers and engines should agree. Above 30 s a partition stops rather than fire timers early.",
    queries: perPartition("eddy_clock_ahead_seconds"),
  },
];

const TAKEOVERS: readonly PanelSpec[] = [
  {
    ...{ id: 10, title: "Takeovers", unit: "short" },
    help: "In the last ten minutes. Many without a deploy: engines lose their group, or their checkpoints fail.",
    queries: one(`sum(increase(${of("eddy_takeovers_total")}[10m]))`, "takeovers"),
  },
  {
    ...{ id: 11, title: "Records restored and repeated", unit: "cps" },
    help: "Restored: read from the changelog. Repeated: applied again, as a former owner may have done.",
    queries: [
      { expr: rate(of("eddy_restored_records_total")), legend: "restored" },
      { expr: rate(of("eddy_repeated_records_total")), legend: "repeated" },
    ],
  },
  {
    ...{ id: 12, title: "Restores, mean", unit: "s" },
    help: "To fence the former owner and to bring the store up to date, since engines were started.",
    queries: one(`sum(${of("eddy_restore_seconds_sum")}) / sum(${of("eddy_restore_seconds_count")})`, "restore"),
  },
];

const CHECKPOINTS: readonly PanelSpec[] = [
  {
    ...{ id: 20, title: "Checkpoint duration", unit: "s", warnAt: 1 },
    help: "One transaction of the changelog and one batch of the store. Normal: tens of milliseconds.",
    queries: quantiles(of("eddy_checkpoint_seconds_bucket")),
  },
  {
    ...{ id: 21, title: "Age of what no checkpoint has", unit: "s", warnAt: 5, alarmAt: 30 },
    help: "Normal: up to a second or two.",
    queries: perPartition("eddy_checkpoint_age_seconds"),
  },
  {
    ...{ id: 22, title: "Checkpoints", unit: "cps" },
    help: "About one a second for each partition that works; failed ones by their error.",
    queries: [
      { expr: rate(of("eddy_checkpoints_total")), legend: "committed" },
      { expr: rate(of("eddy_checkpoint_failures_total"), "code"), legend: "failed {{code}}" },
    ],
  },
  {
    ...{ id: 23, title: "Rows of a checkpoint", unit: "short" },
    help: "At most 10,000 but for the last record's.",
    queries: quantiles(of("eddy_checkpoint_rows_bucket")),
  },
];

const RECORDS: readonly PanelSpec[] = [
  {
    ...{ id: 30, title: "Records applied", unit: "cps", isStacked: true },
    help: "By kind.",
    queries: one(rate(of("eddy_records_total"), "kind"), "{{kind}}"),
  },
  {
    ...{ id: 31, title: "Effects", unit: "cps", isStacked: true },
    help: "What left partitions, by kind.",
    queries: one(rate(of("eddy_effects_total"), "kind"), "{{kind}}"),
  },
  {
    ...{ id: 32, title: "Inputs that changed nothing", unit: "cps" },
    help: "By reason. Repeats are normal after a takeover, stale ones when workers are slow.",
    queries: one(rate(of("eddy_rejections_total"), "code"), "{{code}}"),
  },
  {
    ...{ id: 33, title: "Records of a batch", unit: "short" },
    help: "Between two reads of the inbox: it grows with load.",
    queries: quantiles(of("eddy_batch_records_bucket")),
  },
  {
    ...{ id: 34, title: "Batch duration", unit: "s", warnAt: 1 },
    help: "To apply it.",
    queries: quantiles(of("eddy_batch_seconds_bucket")),
  },
  {
    ...{ id: 35, title: "Dead letters", unit: "short", warnAt: 1 },
    help: "Records that could not be processed, in the last ten minutes.",
    queries: one(`sum(increase(${of("eddy_dead_letters_total")}[10m]))`, "dead letters"),
  },
  {
    ...{ id: 36, title: "Appends tried again", unit: "cps", warnAt: 1 },
    help: "The log does not take what partitions send. Normal: 0.",
    queries: one(rate(of("eddy_append_retries_total")), "retries"),
  },
];

const TIMERS: readonly PanelSpec[] = [
  {
    ...{ id: 40, title: "Timers pending", unit: "short" },
    help: "Sleeps, waits, retries, leases.",
    queries: one(`sum(${of("eddy_timers_pending")})`, "pending"),
  },
  {
    ...{ id: 41, title: "Timers overdue", unit: "s", warnAt: 5, alarmAt: 30 },
    help: "How long ago the next timer was due, by partition. Normal: below a second.",
    queries: perPartition("eddy_timers_overdue_seconds"),
  },
  {
    ...{ id: 42, title: "Timers fired, ticks", unit: "cps" },
    help: "Ticks tell an idle partition the time.",
    queries: [
      { expr: rate(of("eddy_timers_fired_total")), legend: "fired" },
      { expr: rate(of("eddy_ticks_total")), legend: "ticks" },
    ],
  },
  {
    ...{ id: 43, title: "Next timer", unit: "s" },
    help: "How long until it is due, the soonest of all.",
    queries: one(
      orZero(`clamp_min(min(${of("eddy_next_timer_due_timestamp_seconds")}) - time(), 0)`),
      "until the next one",
    ),
  },
];

const STORES: readonly PanelSpec[] = [
  {
    ...{ id: 50, title: "Store size", unit: "bytes", isStacked: true },
    help: "Of all engines: state, history, and the log of the embedded world.",
    queries: one(`sum by (store) (${of("eddy_store_bytes")})`, "{{store}}"),
  },
  {
    ...{ id: 51, title: "Disk free", unit: "percentunit", warnAt: 0.25, alarmAt: 0.1, isLowBad: true },
    help: "Of the file system of the data directory, by engine.",
    queries: one(`min by (instance) (${of("eddy_disk_free_bytes")} / ${of("eddy_disk_size_bytes")})`, "{{instance}}"),
  },
  {
    ...{ id: 52, title: "Rows found in memory", unit: "percentunit" },
    help: "The rest is read from the store. Below one half, more cacheMib helps.",
    queries: one(
      `${rate(of("eddy_row_reads_total", 'from="memory"'))} / ${rate(of("eddy_row_reads_total"))}`,
      "hit rate",
    ),
  },
  {
    ...{ id: 53, title: "Row cache", unit: "bytes" },
    help: "Bounded by cacheMib, by engine.",
    queries: one(`sum by (instance) (${of("eddy_cache_bytes")})`, "{{instance}}"),
  },
];

const PROCESS: readonly PanelSpec[] = [
  {
    ...{ id: 60, title: "CPU", unit: "short" },
    help: "Cores in use, by engine.",
    queries: one(`sum by (instance) (rate(${of("process_cpu_seconds_total")}[$__rate_interval]))`, "{{instance}}"),
  },
  {
    ...{ id: 61, title: "Memory", unit: "bytes" },
    help: "Resident, and of it JavaScript's heap.",
    queries: [
      { expr: `sum by (instance) (${of("process_resident_memory_bytes")})`, legend: "{{instance}}" },
      { expr: `sum by (instance) (${of("nodejs_heap_size_used_bytes")})`, legend: "{{instance}} heap" },
    ],
  },
  {
    ...{ id: 62, title: "Event loop lag, p99", unit: "s", warnAt: 0.1, alarmAt: 1 },
    help: "How late Node comes to what is due. Seconds of it cost engines their place in the group.",
    queries: one(`max by (instance) (${of("nodejs_eventloop_lag_p99_seconds")})`, "{{instance}}"),
  },
];

export const ENGINE: DashboardSpec = {
  uid: "eddy-engine",
  title: "Eddy engine internals",
  description: "Partitions, takeovers, checkpoints, records, timers, stores, processes.",
  variables: [],
  rows: [
    { title: "Partitions", panels: PARTITIONS },
    { title: "Takeovers", panels: TAKEOVERS },
    { title: "Checkpoints", panels: CHECKPOINTS },
    { title: "Records", panels: RECORDS },
    { title: "Timers", panels: TIMERS },
    { title: "Stores", panels: STORES },
    { title: "Processes", panels: PROCESS },
  ],
};
