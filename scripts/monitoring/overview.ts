import type { DashboardSpec } from "./grafana.js";
import { of, one, orZero, quantiles, rate } from "./promql.js";

export const OVERVIEW: DashboardSpec = {
  uid: "eddy-overview",
  title: "Eddy overview",
  description: "Is Eddy well, how much does it do, how fast. Red: see the alert of the same name and its runbook.",
  variables: [],
  rows: [
    {
      title: "Now",
      panels: [
        {
          ...{ id: 1, type: "stat", title: "Engines ready", unit: "short", alarmAt: 1, isLowBad: true },
          help: "Engines of which every part does its work. Normal: all of them.",
          queries: one(`sum(${of("eddy_ready")})`, "ready"),
        },
        {
          ...{ id: 2, type: "stat", title: "Partitions not running", unit: "short", warnAt: 1, alarmAt: 4 },
          help: "Being taken over, or stopped. Normal: 0; for seconds more while engines come and go.",
          queries: one(`sum(${of("eddy_partitions", 'status!="running"')})`, "not running"),
        },
        {
          ...{ id: 3, type: "stat", title: "Lag", unit: "s", warnAt: 5, alarmAt: 60 },
          help: "Age of the oldest inbox record that is not applied. Normal: below a second.",
          queries: one(`max(${of("eddy_inbox_lag_seconds")})`, "lag"),
        },
        {
          ...{ id: 4, type: "stat", title: "Timers overdue", unit: "s", warnAt: 5, alarmAt: 30 },
          help: "How long ago the next timer was due. Normal: below a second.",
          queries: one(`max(${of("eddy_timers_overdue_seconds")})`, "overdue"),
        },
        {
          ...{ id: 5, type: "stat", title: "Dead letters, 24 h", unit: "short", warnAt: 1 },
          help: "Records that could not be processed. Normal: 0.",
          queries: one(`sum(increase(${of("eddy_dead_letters_total")}[24h]))`, "dead letters"),
        },
        {
          ...{ id: 6, type: "stat", title: "Runs open", unit: "short" },
          help: "Live runs; most of them wait.",
          queries: one(orZero(`sum(${of("eddy_runs_open")})`), "runs"),
        },
      ],
    },
    {
      title: "Work",
      panels: [
        {
          ...{ id: 10, title: "Events accepted", unit: "cps" },
          help: "Events that senders were told are in the log, by gateways; senders over Kafka are not in it.",
          queries: one(rate(of("eddy_events_accepted_total")), "accepted"),
        },
        {
          ...{ id: 11, title: "Events used", unit: "cps" },
          help: "Events that started a run, ended its wait, or cancelled it.",
          queries: one(rate(of("eddy_events_used_total"), "as"), "{{as}}"),
        },
        {
          ...{ id: 12, title: "Runs started and ended", unit: "cps" },
          help: "Failed ones want a look at the dashboard of functions.",
          queries: [
            { expr: rate(of("eddy_runs_started_total")), legend: "started" },
            { expr: rate(of("eddy_runs_ended_total"), "outcome"), legend: "{{outcome}}" },
          ],
        },
        {
          ...{ id: 13, title: "Runs and waits open", unit: "short" },
          help: "What waits for an event or for time. It grows with the business, not with trouble.",
          queries: [
            { expr: orZero(`sum(${of("eddy_runs_open")})`), legend: "runs" },
            { expr: orZero(`sum(${of("eddy_waits_open")})`), legend: "waits" },
            { expr: orZero(`sum(${of("eddy_sleeps_open")})`), legend: "sleeps" },
          ],
        },
        {
          ...{ id: 14, title: "Waits ended", unit: "cps" },
          help: "By an event, by one that had come before the wait, or without one.",
          queries: one(rate(of("eddy_waits_ended_total"), "outcome"), "{{outcome}}"),
        },
        {
          ...{ id: 15, title: "Attempts of steps", unit: "cps" },
          help: "Retried ones come back by themselves; failed ones were the last attempt.",
          queries: one(rate(of("eddy_steps_total"), "outcome"), "{{outcome}}"),
        },
      ],
    },
    {
      title: "Speed",
      panels: [
        {
          ...{ id: 20, title: "Event to dispatch", unit: "s", warnAt: 1 },
          help: "From the log's append time to the step request. Normal: milliseconds.",
          queries: quantiles(of("eddy_event_to_dispatch_seconds_bucket")),
        },
        {
          ...{ id: 21, title: "Lag", unit: "s", warnAt: 5, alarmAt: 60 },
          help: "Age of the oldest inbox record that is not applied, by partition. Normal: below a second.",
          queries: one(`max by (partition) (${of("eddy_inbox_lag_seconds")})`, "{{partition}}"),
        },
        {
          ...{ id: 22, title: "Timers late", unit: "s", warnAt: 5, alarmAt: 30 },
          help: "How late timers of runs fired. Normal: below a second; after an outage as long as that was.",
          queries: quantiles(of("eddy_timer_lateness_seconds_bucket")),
        },
        {
          ...{ id: 23, title: "HTTP requests", unit: "reqps" },
          help: "Of gateways, by status.",
          queries: one(rate(of("eddy_http_requests_total"), "status"), "{{status}}"),
        },
        {
          ...{ id: 24, title: "HTTP latency", unit: "s", warnAt: 1 },
          help: "Sending an event waits for the log.",
          queries: quantiles(of("eddy_http_request_seconds_bucket")),
        },
        {
          ...{ id: 25, title: "Workers", unit: "short" },
          help: "Connected over the gateway; those over Kafka are seen by signs of life on the dashboard of workers.",
          queries: [
            { expr: orZero(`sum(${of("eddy_workers_connected")})`), legend: "connected" },
            { expr: orZero(`sum(${of("eddy_worker_slots_free")})`), legend: "free slots" },
            { expr: orZero(`sum(${of("eddy_steps_waiting")})`), legend: "requests that wait" },
          ],
        },
      ],
    },
  ],
};
