/** Dashboards and alerts fit the metrics, each other, and the pages about them. That they work: npm run test:dashboards */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { COUNTERS, GAUGES, HISTOGRAMS } from "../../engine/src/adapters/prometheus/metrics.js";
import { DASHBOARDS } from "../monitoring/dashboards.js";

const root = join(import.meta.dirname, "../..");
const RULES = "charts/eddy/files/rules/eddy-alerts.yaml";

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}
const { groups } = parse(readFileSync(join(root, RULES), "utf8")) as { groups: { rules: Alert[] }[] };
const alerts = groups.flatMap(({ rules }) => rules);
const panels = Object.values(DASHBOARDS).flatMap(({ uid, rows }) =>
  rows.flatMap((row) => row.panels.map((panel) => ({ uid, ...panel }))),
);
const expressions = [
  ...alerts.map(({ alert, expr }) => [alert, expr] as const),
  ...panels.flatMap(({ uid, title, queries }) => queries.map(({ expr }) => [`${uid}: ${title}`, expr] as const)),
];

/** Of a metric, without what Prometheus adds to a histogram's name. */
function labelsOf(name: string): readonly string[] | null {
  const histogram = /^(.*)_(bucket|sum|count)$/.exec(name)?.[1];
  const spec = COUNTERS[name] ?? GAUGES[name] ?? (histogram === undefined ? undefined : HISTOGRAMS[histogram]);
  return spec === undefined ? null : Object.keys(spec.labels ?? {});
}
const TARGET_LABELS = ["namespace", "job", "instance"];

describe("dashboards and alerts", () => {
  it.each(expressions)("%s asks for metrics and labels that there are", (_, expr) => {
    for (const [, name = "", matchers = ""] of expr.matchAll(/\b(eddy_\w+)(?:\{([^}]*)\})?/g)) {
      const labels = labelsOf(name);
      expect(labels, name).not.toBeNull();
      for (const [, label = ""] of matchers.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)) {
        expect([...TARGET_LABELS, ...(labels ?? [])], `${name}{${label}}`).toContain(label);
      }
    }
  });

  it("every panel has its own id, a title and a sentence about it", () => {
    const places = panels.map(({ uid, id }) => `${uid}/${id}`);
    expect(new Set(places).size).toBe(places.length);
    for (const { title, help } of panels) expect(`${title}: ${help}`).toMatch(/^\S.*: \S.*\.$/);
  });

  it("every alert has its runbook, a severity, and a panel to look at; every runbook an alert", () => {
    for (const { alert, labels, annotations } of alerts) {
      expect(alert).toMatch(/^Eddy[A-Z]\w+$/);
      expect(["warning", "critical"]).toContain(labels.severity);
      expect(annotations["runbook_url"]).toBe(`docs/operate/runbooks/${alert}.md`);
      expect(existsSync(join(root, annotations["runbook_url"] ?? "")), alert).toBe(true);
      const [, uid, id] = /^\/d\/([\w-]+)\?viewPanel=(\d+)&/.exec(annotations["dashboard"] ?? "") ?? [];
      expect(
        panels.some((panel) => panel.uid === uid && panel.id === Number(id)),
        alert,
      ).toBe(true);
    }
    const runbooks = readdirSync(join(root, "docs/operate/runbooks")).map((name) => name.replace(/\.md$/, ""));
    expect(runbooks.sort()).toEqual(alerts.map(({ alert }) => alert).sort());
  });

  it("every alert is shown firing and not firing", () => {
    const file = readFileSync(join(root, "scripts/monitoring/eddy-alerts.test.yaml"), "utf8");
    const { tests } = parse(file) as {
      tests: { alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[] }[];
    };
    const tried = tests.flatMap((test) => test.alert_rule_test);
    for (const { alert } of alerts) {
      const counts = tried.filter((each) => each.alertname === alert).map((each) => each.exp_alerts?.length ?? 0);
      expect(
        counts.some((count) => count > 0),
        `${alert} fires`,
      ).toBe(true);
      expect(
        counts.some((count) => count === 0),
        `${alert} does not fire`,
      ).toBe(true);
    }
  });

  it("every metric of runs, waits, steps and partitions is on a dashboard", () => {
    const text = panels.flatMap(({ queries }) => queries.map(({ expr }) => expr)).join(" ");
    const unseen = [...Object.keys(COUNTERS), ...Object.keys(GAUGES), ...Object.keys(HISTOGRAMS)].filter(
      (name) => !text.includes(name),
    );
    expect(unseen).toEqual(UNSEEN);
  });
});

/** Looked at when something is wrong that they alone tell, in Prometheus itself. */
const UNSEEN = [
  "eddy_connections_refused_total",
  "eddy_inbox_appended_records_total",
  "eddy_past_reads_total",
  "eddy_past_records_total",
  "eddy_requests_refused_total",
  "eddy_schema_failures_total",
  "eddy_source_records_total",
  "eddy_waits_opened_total",
  "eddy_partition_stopped",
  "eddy_runs_executing",
  "eddy_source_lag_records",
  "eddy_source_lag_seconds",
  "eddy_source_partitions",
  "eddy_source_up",
  "eddy_takeover_seconds",
];
