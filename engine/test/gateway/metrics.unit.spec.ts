import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { COUNTERS, GAUGES, HISTOGRAMS } from "../../src/adapters/prometheus/metrics.js";
import { PrometheusMeter } from "../../src/adapters/prometheus/index.js";
import { world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway } from "./gateway-fixtures.js";

const root = join(import.meta.dirname, "../../..");

describe("the meter", () => {
  it("counts, observes and gauges, with help and buckets of the table", async () => {
    const meter = new PrometheusMeter();
    meter.count("eddy_events_accepted_total", 2);
    meter.count("eddy_events_accepted_total", 3);
    meter.count("eddy_effects_total", 1, { kind: "RequestStep" });
    meter.observe("eddy_checkpoint_seconds", 0.3);
    meter.gauge("eddy_ready", 1);
    meter.gauge("eddy_ready", 0);
    const lines = (await meter.text()).split("\n");
    expect(lines).toContain("# HELP eddy_events_accepted_total Events that senders were told are in the log.");
    expect(lines).toContain("# TYPE eddy_events_accepted_total counter");
    expect(lines).toContain("eddy_events_accepted_total 5");
    expect(lines).toContain('eddy_effects_total{kind="RequestStep"} 1');
    expect(lines).toContain('eddy_checkpoint_seconds_bucket{le="0.25"} 0');
    expect(lines).toContain('eddy_checkpoint_seconds_bucket{le="0.5"} 1');
    expect(lines).toContain("eddy_ready 0");
  });

  it("bounds the values of labels: what is beyond is counted together", async () => {
    const meter = new PrometheusMeter();
    for (let i = 0; i < 1_500; i += 1) meter.count("eddy_step_requests_delivered_total", 1, { app: `app-${i}` });
    meter.count("eddy_step_requests_delivered_total", 1, { app: "app-7" });
    const lines = (await meter.text()).split("\n").filter((line) => line.startsWith("eddy_step_requests"));
    expect(lines).toHaveLength(1_001);
    expect(lines).toContain('eddy_step_requests_delivered_total{app="app-7"} 2');
    expect(lines).toContain('eddy_step_requests_delivered_total{app="other"} 500');
  });

  it("bounds each label by itself: what is told beside a function that is one too many stays right", async () => {
    const meter = new PrometheusMeter();
    for (let i = 0; i < 1_001; i += 1) {
      meter.count("eddy_runs_ended_total", 1, { function: `shop/f${i}`, outcome: "completed" });
      meter.count("eddy_runs_ended_total", 1, { function: `shop/f${i}`, outcome: "failed" });
      meter.observe("eddy_event_to_dispatch_seconds", 0.1, { function: `shop/f${i}` });
    }
    const lines = (await meter.text()).split("\n");
    expect(lines).toContain('eddy_runs_ended_total{function="shop/f999",outcome="failed"} 1');
    expect(lines).toContain('eddy_runs_ended_total{function="other",outcome="failed"} 1');
    expect(lines.filter((line) => line.startsWith("eddy_runs_ended_total"))).toHaveLength(2 * 1_001);
    expect(lines).toContain('eddy_event_to_dispatch_seconds_count{function="other"} 901');
  });

  it("has counters with known labels from the start, so that their first increase is seen", async () => {
    const lines = (await new PrometheusMeter().text()).split("\n");
    expect(lines).toContain("eddy_dead_letters_total 0");
    expect(lines).toContain('eddy_records_total{kind="event"} 0');
    expect(lines.some((line) => line.startsWith("eddy_runs_started_total{"))).toBe(false);
  });

  it("replaces what a gauge had, and adds up what is beyond the bound of a label", async () => {
    const meter = new PrometheusMeter();
    meter.gauges("eddy_inbox_lag_records", [{ labels: { partition: "3" }, value: 7 }]);
    meter.gauges("eddy_inbox_lag_records", [{ labels: { partition: "4" }, value: 8 }]);
    const rows = Array.from({ length: 1_002 }, (_, i) => ({ labels: { function: `f${i}` }, value: 2 }));
    meter.gauges("eddy_waits_open", rows);
    const text = await meter.text();
    expect(text).not.toContain('partition="3"');
    expect(text).toContain('eddy_inbox_lag_records{partition="4"} 8');
    expect(text).toContain('eddy_waits_open{function="other"} 4');
  });

  it("does not throw for what it does not know, nor for what is no number", async () => {
    const meter = new PrometheusMeter();
    meter.count("eddy_new_total", 1, { a: "x" });
    meter.count("eddy_new_total", 1, { b: "y" });
    meter.count("eddy_new_total", -1, { a: "x" });
    meter.count("eddy_new_total", Number.NaN, { a: "x" });
    meter.observe("eddy_new_seconds", Number.NaN);
    meter.gauge("eddy_new", Number.NaN);
    const text = await meter.text();
    expect(text).toContain('eddy_new_total{a="x"} 1');
    expect(text).toContain('eddy_new_total{a=""} 1');
  });

  it("has Node's own metrics where the process is the engine's", async () => {
    expect(await new PrometheusMeter().text()).not.toContain("nodejs_");
    const text = await new PrometheusMeter({ withProcess: true }).text();
    for (const name of ["process_cpu_seconds_total", "nodejs_eventloop_lag_seconds", "nodejs_heap_size_used_bytes"]) {
      expect(text).toContain(`# TYPE ${name} `);
    }
  });

  it("keeps to the rules of names: prefix, base units, _total of counters alone", () => {
    for (const name of [...Object.keys(COUNTERS), ...Object.keys(HISTOGRAMS), ...Object.keys(GAUGES)]) {
      expect(name).toMatch(/^eddy_[a-z]+(_[a-z]+)*$/);
      expect(name).not.toMatch(/_(ms|millis|milliseconds|kb|mb|mib)(_|$)/);
    }
    for (const name of Object.keys(COUNTERS)) expect(name).toMatch(/_total$/);
    for (const name of [...Object.keys(HISTOGRAMS), ...Object.keys(GAUGES)]) expect(name).not.toMatch(/_total$/);
    for (const { buckets } of Object.values(HISTOGRAMS)) {
      expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
    }
  });

  it("has a table with all that the sources measure, and nothing else", () => {
    const used = { count: new Set<string>(), observe: new Set<string>(), gauge: new Set<string>() };
    for (const folder of ["engine/src", "clients/src"]) {
      for (const file of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
        if (!file.endsWith(".ts")) continue;
        const text = readFileSync(join(root, folder, file), "utf8");
        for (const [, kind, name] of text.matchAll(/\.(count|observe|gauge)s?\(\s*"(eddy_\w+)"/g)) {
          used[kind as keyof typeof used].add(name ?? "");
        }
        // Counted by `Tally`.
        for (const [, name] of text.matchAll(/metric: "(eddy_\w+)"/g)) used.count.add(name ?? "");
      }
    }
    expect([...used.count].sort()).toEqual(Object.keys(COUNTERS).sort());
    expect([...used.observe].sort()).toEqual(Object.keys(HISTOGRAMS).sort());
    expect([...used.gauge].sort()).toEqual(Object.keys(GAUGES).sort());
  });
});

describe("GET /metrics", () => {
  let w: World;
  let face: TestGateway;
  let url: string;
  beforeEach(async () => {
    w = await world();
    face = new TestGateway(w, { owners: new FakeOwners() });
    url = await face.listen();
  });
  afterEach(async () => {
    await face.gateway.close();
    await w.close();
  });

  it("answers as Prometheus wants it, also while the log is not there", async () => {
    face.isStarting = true;
    const reply = await fetch(`${url}/metrics`);
    expect(reply.status).toBe(200);
    expect(reply.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  it("counts requests by route and status: what is asked for is no label", async () => {
    for (const path of ["/v1/runs/secret-1", "/v1/runs/secret-2", "/nope/secret-3", "/health/live"])
      await fetch(url + path);
    await fetch(`${url}/health/live`, { method: "PROPFIND" });
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('eddy_http_requests_total{method="GET",route="/v1/runs/:id",status="404"} 2');
    expect(text).toContain('eddy_http_requests_total{method="GET",route="/health/live",status="200"} 1');
    expect(text).toContain('eddy_http_requests_total{method="none",route="none",status="404"} 2');
    expect(text).toContain('eddy_http_request_seconds_count{method="GET",route="/v1/runs/:id"} 2');
    expect(text).not.toContain("secret");
  });
});
