import type { DashboardSpec } from "./grafana.js";
import { ofFunction as of, one, orZero, quantile, rate } from "./promql.js";

export const FUNCTIONS: DashboardSpec = {
  uid: "eddy-functions",
  title: "Eddy functions",
  description: "What users' functions do. Beyond 1,000 functions, of histograms 100, the rest is `other`.",
  variables: ["function"],
  rows: [
    {
      title: "Runs",
      panels: [
        {
          ...{ id: 1, title: "Runs open", unit: "short" },
          help: "Live runs by function.",
          queries: one(`sum by (function) (${of("eddy_runs_open")})`, "{{function}}"),
        },
        {
          ...{ id: 2, title: "Runs started", unit: "cps" },
          help: "By function.",
          queries: one(rate(of("eddy_runs_started_total"), "function"), "{{function}}"),
        },
        {
          ...{ id: 3, title: "Runs ended", unit: "cps" },
          help: "By function and outcome.",
          queries: one(rate(of("eddy_runs_ended_total"), "function, outcome"), "{{function}} {{outcome}}"),
        },
        {
          ...{ id: 4, title: "Runs failed", unit: "percentunit", warnAt: 0.01, alarmAt: 0.1 },
          help: "Part of the runs that ended. Their errors are in the history of each run.",
          queries: one(
            orZero(
              `${rate(of("eddy_runs_ended_total", 'outcome="failed"'), "function")} / ` +
                rate(of("eddy_runs_ended_total"), "function"),
            ),
            "{{function}}",
          ),
        },
        {
          ...{ id: 5, title: "Cancels", unit: "cps" },
          help: "By an event of cancelOn, or by request.",
          queries: one(orZero(rate(of("eddy_cancels_total"), "function, by")), "{{function}} {{by}}"),
        },
        {
          ...{ id: 6, title: "Events used", unit: "cps" },
          help: "Events that started a run, ended its wait, or cancelled it.",
          queries: one(rate(of("eddy_events_used_total"), "function, as"), "{{function}} {{as}}"),
        },
      ],
    },
    {
      title: "Waits",
      panels: [
        {
          ...{ id: 10, title: "Waits open", unit: "short" },
          help: "Runs that wait for an event.",
          queries: one(`sum by (function) (${of("eddy_waits_open")})`, "{{function}}"),
        },
        {
          ...{ id: 11, title: "Waits ended", unit: "cps" },
          help: "By an event, by one that came before the wait (lookback), or by timeout.",
          queries: one(rate(of("eddy_waits_ended_total"), "function, outcome"), "{{function}} {{outcome}}"),
        },
        {
          ...{ id: 12, title: "Sleeps open", unit: "short" },
          help: "Runs that sleep.",
          queries: one(`sum by (function) (${of("eddy_sleeps_open")})`, "{{function}}"),
        },
      ],
    },
    {
      title: "Steps",
      panels: [
        {
          ...{ id: 20, title: "Attempts of steps", unit: "cps" },
          help: "Completed, to be tried again, failed for good.",
          queries: one(rate(of("eddy_steps_total"), "function, outcome"), "{{function}} {{outcome}}"),
        },
        {
          ...{ id: 21, title: "By attempt", unit: "cps", isStacked: true },
          help: "Much beyond the first says that something that steps call is not well.",
          queries: one(rate(of("eddy_steps_total"), "attempt"), "attempt {{attempt}}"),
        },
        {
          ...{ id: 22, title: "Handlers that threw", unit: "cps" },
          help: "Outside of any step.",
          queries: one(orZero(rate(of("eddy_handler_failures_total"), "function")), "{{function}}"),
        },
        {
          ...{ id: 23, title: "Step duration, p95", unit: "s" },
          help: "Of workers over the gateway, the time in which a step waits in its worker included.",
          queries: one(quantile(0.95, of("eddy_step_seconds_bucket"), "function"), "{{function}}"),
        },
        {
          ...{ id: 24, title: "Event to dispatch, p95", unit: "s", warnAt: 1 },
          help: "From the log's append time to the step request. Normal: milliseconds.",
          queries: one(quantile(0.95, of("eddy_event_to_dispatch_seconds_bucket"), "function"), "{{function}}"),
        },
        {
          ...{ id: 25, title: "Requests that wait for a worker", unit: "short", warnAt: 100 },
          help: "No heartbeat has named them yet. Short steps are seen here for a moment; what stays has no worker.",
          queries: one(`sum by (function) (${of("eddy_steps_waiting")})`, "{{function}}"),
        },
        {
          ...{ id: 26, title: "Requests by reason", unit: "cps" },
          help: "lease_lost: a worker died, or did not say in time that it lives. declined: a worker gave it back.",
          queries: one(rate(of("eddy_dispatches_total"), "function, reason"), "{{function}} {{reason}}"),
        },
        {
          ...{ id: 27, title: "Leases expired", unit: "cps", warnAt: 0.1 },
          help: "Steps that run a second time because nobody heard of their worker. Normal: 0.",
          queries: one(orZero(rate(of("eddy_leases_expired_total"), "function")), "{{function}}"),
        },
      ],
    },
  ],
};
