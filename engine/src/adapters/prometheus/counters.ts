/**
 * Counters. Where it says "final", an increase comes with the checkpoint that makes it so: records that are applied again
 * after a takeover are not counted twice. The others tell what this process did, repeats included.
 */
import { ERROR_CODES } from "@eddy/clients/errors";
import type { MetricSpec } from "./spec.js";

/** Kinds of inbox records, and what is none. */
const RECORD_KINDS = [
  "event",
  "report",
  "delivered",
  "heartbeat",
  "tick",
  "advance",
  "register",
  "registered",
  "cancel",
  "logic",
  "declined",
  "listen",
  "unlisten",
  "answer",
  "announced",
  "learn",
  "settled",
  "undecodable",
] as const;

export const COUNTERS = {
  eddy_append_retries_total: { help: "Appends of effects that were tried again." },
  eddy_cancels_total: {
    help: "Runs that were cancelled, by an event or by request. Final.",
    labels: { function: "open", by: ["event", "request"] },
  },
  eddy_checkpoint_failures_total: {
    help: "Checkpoints whose outcome is not known or bad: the partition is taken over anew. FENCED: another has it.",
    labels: { code: [...(Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[]), "OTHER"] },
  },
  eddy_checkpoints_total: { help: "Checkpoints of partitions that were committed." },
  eddy_connections_refused_total: { help: "Connections that were dropped: too many in all, or from one address." },
  eddy_dead_letters_total: { help: "Inbox records that could not be processed. Final." },
  eddy_dispatches_total: {
    help: "Step requests made, by what made the run go on. Final.",
    labels: { function: "open", reason: ["start", "resume", "retry", "lease_lost", "declined"] },
  },
  eddy_effects_total: {
    help: "Effects that left partitions.",
    labels: { kind: ["RequestStep", "RequestPart", "SendSignal", "AppendInbox", "PublishRegistry", "RecordHistory"] },
  },
  eddy_events_accepted_total: { help: "Events that senders were told are in the log." },
  eddy_events_used_total: {
    help: "Events that started a run, ended its wait, or cancelled it. Final.",
    labels: { function: "open", as: ["trigger", "wait", "cancel"] },
  },
  eddy_handler_failures_total: {
    help: "Attempts of handlers that threw outside of a step. Final.",
    labels: { function: "open" },
  },
  eddy_http_requests_total: {
    help: "HTTP requests answered.",
    labels: { method: "open", route: "open", status: "open" },
  },
  eddy_inbox_appended_records_total: { help: "Records that this process appended to inboxes." },
  eddy_invocations_ended_total: {
    help: "Step requests that a worker has answered to the end. Final.",
    labels: { function: "open" },
  },
  eddy_leases_expired_total: {
    help: "Requests that went out again because no worker said in time that it has them. Final.",
    labels: { function: "open" },
  },
  eddy_past_reads_total: { help: "Reads of a partition's own inbox for events that nobody had kept." },
  eddy_past_records_total: { help: "Inbox records that were read again for them." },
  eddy_records_total: { help: "Inbox records applied.", labels: { kind: RECORD_KINDS } },
  eddy_rejections_total: {
    help: "Inputs that changed nothing, by the reason.",
    labels: {
      code: [
        "DUPLICATE_EVENT",
        "DUPLICATE_RUN",
        "RUN_FINISHED",
        "STALE_INVOCATION",
        "STALE_TIMER",
        "STALE_REGISTRATION",
        "REPEATED_RECORD",
        "NOT_INBOX_ZERO",
        "MISDIRECTED",
        "REGISTRY_FULL",
      ],
    },
  },
  eddy_repeated_records_total: {
    help: "Inbox records applied after a takeover that a former owner may have applied already.",
  },
  eddy_requests_refused_total: {
    help: "Requests and workers that were not let in: no token, not its scope, too many.",
    labels: { code: ["UNAUTHENTICATED", "FORBIDDEN", "TOO_MANY_REQUESTS"] },
  },
  eddy_restored_records_total: { help: "Changelog records read to bring stores up to date." },
  eddy_row_reads_total: {
    help: "Rows that batches needed, by where they were: the hit rate of the cache.",
    labels: { from: ["memory", "store"] },
  },
  eddy_runs_ended_total: {
    help: "Runs that ended. Final.",
    labels: { function: "open", outcome: ["completed", "failed", "cancelled"] },
  },
  eddy_runs_started_total: { help: "Runs that were started. Final.", labels: { function: "open" } },
  eddy_schema_failures_total: { help: "Questions to the schema registry, for schemas of events, that failed." },
  eddy_source_records_total: {
    help: "Records of users' topics: taken, as events, dead letters or neither; deleted: gone before they were taken.",
    labels: { source: "open", outcome: ["event", "dead_letter", "tombstone", "deleted"] },
  },
  eddy_step_requests_delivered_total: {
    help: "Step requests handed to workers that are connected here.",
    labels: { app: "open" },
  },
  eddy_steps_total: {
    help: "Attempts of steps that workers reported: completed, to be retried, failed for good. Final.",
    labels: { function: "open", outcome: ["completed", "retried", "failed"], attempt: ["1", "2", "3", "4", "5+"] },
  },
  eddy_takeovers_total: { help: "Takeovers of partitions that were begun." },
  eddy_ticks_total: { help: "Ticks appended to idle inboxes for due timers." },
  eddy_timers_fired_total: { help: "Timers that fired, those that keep house included." },
  eddy_waits_ended_total: {
    help: "Waits that got an event, found one that had come before, or timed out; not those whose run ended. Final.",
    labels: { function: "open", outcome: ["event", "lookback", "timeout"] },
  },
  eddy_waits_opened_total: { help: "Waits for an event that runs began. Final.", labels: { function: "open" } },
  eddy_worker_signals_total: {
    help: "Signs of life of an app's workers, over whatever transport: deliveries told, heartbeats. Final.",
    labels: { app: "open", kind: ["delivered", "heartbeat"] },
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;
