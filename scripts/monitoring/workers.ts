import type { DashboardSpec } from "./grafana.js";
import { of, ofApp, one, orZero, quantile, quantiles, rate } from "./promql.js";

export const WORKERS: DashboardSpec = {
  uid: "eddy-workers",
  title: "Eddy workers",
  description: "Who carries out steps, and whether there are enough of them.",
  variables: ["app"],
  rows: [
    {
      title: "Workers over the gateway",
      panels: [
        {
          ...{ id: 1, title: "Connected", unit: "short" },
          help: "Workers by app. Those over Kafka are not connected here: see their signs of life.",
          queries: one(`sum by (app) (${ofApp("eddy_workers_connected")})`, "{{app}}"),
        },
        {
          ...{ id: 2, title: "Slots", unit: "short" },
          help: "Requests that workers may have at once, and free ones of workers that take requests.",
          queries: [
            { expr: `sum by (app) (${ofApp("eddy_worker_slots")})`, legend: "{{app}} all" },
            { expr: `sum by (app) (${ofApp("eddy_worker_slots_free")})`, legend: "{{app}} free" },
          ],
        },
        {
          ...{ id: 3, title: "Slots in use", unit: "percentunit", warnAt: 0.8, alarmAt: 1 },
          help: "At 1 requests wait: add workers, or slots (maxWorkerConcurrency).",
          queries: one(
            `sum by (app) (${ofApp("eddy_steps_in_flight")}) / sum by (app) (${ofApp("eddy_worker_slots")})`,
            "{{app}}",
          ),
        },
        {
          ...{ id: 4, title: "Requests delivered", unit: "cps" },
          help: "Handed to workers that are connected here.",
          queries: one(rate(ofApp("eddy_step_requests_delivered_total"), "app"), "{{app}}"),
        },
        {
          ...{ id: 5, title: "Step duration", unit: "s" },
          help: "From the request, or the report before, to the report with the result.",
          queries: quantiles(of("eddy_step_seconds_bucket")),
        },
        {
          ...{ id: 6, title: "Step duration, p95 by function", unit: "s" },
          help: "Slow steps take slots from others.",
          queries: one(quantile(0.95, of("eddy_step_seconds_bucket"), "function"), "{{function}}"),
        },
      ],
    },
    {
      title: "All workers",
      panels: [
        {
          ...{ id: 10, title: "Requests that wait for a worker", unit: "short", warnAt: 100 },
          help: "No heartbeat has named them yet. What stays here has no worker, or no free slot.",
          queries: one(`sum by (app, function) (${ofApp("eddy_steps_waiting")})`, "{{function}}"),
        },
        {
          ...{ id: 11, title: "Requests answered", unit: "cps" },
          help: "To the end, by workers of any transport.",
          queries: one(rate(of("eddy_invocations_ended_total"), "function"), "{{function}}"),
        },
        {
          ...{ id: 12, title: "Signs of life", unit: "cps" },
          help: "Deliveries told, and heartbeats of what runs long, over any transport.",
          queries: one(rate(ofApp("eddy_worker_signals_total"), "app, kind"), "{{app}} {{kind}}"),
        },
        {
          ...{ id: 13, title: "Result to dispatch", unit: "s", warnAt: 1 },
          help: "From a worker's report to the next request of its run. Normal: milliseconds.",
          queries: quantiles(of("eddy_result_to_dispatch_seconds_bucket")),
        },
        {
          ...{ id: 14, title: "Leases expired", unit: "cps", warnAt: 0.1 },
          help: "Steps that run a second time because nobody heard of their worker. Normal: 0.",
          queries: one(orZero(rate(of("eddy_leases_expired_total"))), "expired"),
        },
        {
          ...{ id: 15, title: "Requests given back", unit: "cps" },
          help: "By workers that end, lack the run's state, or do not have the function.",
          queries: one(orZero(rate(of("eddy_dispatches_total", 'reason="declined"'))), "declined"),
        },
      ],
    },
  ],
};
