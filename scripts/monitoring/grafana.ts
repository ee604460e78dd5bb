/** As much of Grafana's dashboard model as the dashboards here use. Ids of panels are given: alerts link to them. */

export type Unit = "short" | "ops" | "reqps" | "s" | "bytes" | "percentunit" | "dateTimeFromNow" | "cps";

export interface Query {
  readonly expr: string;
  /** Name of the series: `{{function}}`. */
  readonly legend: string;
}

export interface PanelSpec {
  /** Unique in its dashboard, for good. */
  readonly id: number;
  readonly title: string;
  /** What it says, and what is normal. */
  readonly help: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Default: a graph over time. */
  readonly type?: "timeseries" | "stat" | "state-timeline";
  /** From here on it is yellow, or red. */
  readonly warnAt?: number;
  readonly alarmAt?: number;
  /** Less is worse: below these it is yellow, or red. */
  readonly isLowBad?: boolean;
  readonly isStacked?: boolean;
}

export interface RowSpec {
  readonly title: string;
  readonly panels: readonly PanelSpec[];
}

export interface DashboardSpec {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** Beside data source, namespace and job. */
  readonly variables: readonly ("function" | "app")[];
  readonly rows: readonly RowSpec[];
}

const DATASOURCE = { type: "prometheus", uid: "$datasource" } as const;
const COLUMNS = 24;
const STAT = { w: 4, h: 4 } as const;
const GRAPH = { w: 8, h: 8 } as const;
const COLORS = { good: "green", warn: "yellow", alarm: "red" } as const;

/** @returns the dashboard as Grafana imports it. */
export function dashboardOf({ uid, title, description, variables, rows }: DashboardSpec): object {
  return {
    uid,
    title,
    description,
    tags: ["eddy"],
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    schemaVersion: 39,
    time: { from: "now-3h", to: "now" },
    timezone: "",
    links: [
      { type: "dashboards", title: "Eddy", tags: ["eddy"], asDropdown: false, includeVars: true, keepTime: true },
    ],
    templating: { list: [DATASOURCE_VARIABLE, ...["namespace", "job", ...variables].map(variableOf)] },
    annotations: { list: [] },
    panels: placed(rows),
  };
}

const DATASOURCE_VARIABLE = {
  name: "datasource",
  label: "Data source",
  type: "datasource",
  query: "prometheus",
  refresh: 1,
  current: {},
  hide: 0,
};

const VARIABLES: Readonly<Record<string, string>> = {
  namespace: "label_values(eddy_ready, namespace)",
  job: 'label_values(eddy_ready{namespace=~"$namespace"}, job)',
  function: 'label_values(eddy_runs_started_total{namespace=~"$namespace",job=~"$job"}, function)',
  app: 'label_values(eddy_worker_signals_total{namespace=~"$namespace",job=~"$job"}, app)',
};

function variableOf(name: string): object {
  const query = VARIABLES[name];
  return {
    name,
    label: name.charAt(0).toUpperCase() + name.slice(1),
    type: "query",
    datasource: DATASOURCE,
    definition: query,
    query: { query, refId: name },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    // Also where a series lacks the label, as without Kubernetes.
    allValue: ".*",
    current: { selected: true, text: ["All"], value: ["$__all"] },
    hide: 0,
  };
}

/** From left to right, row by row. */
function placed(rows: readonly RowSpec[]): readonly object[] {
  const panels: object[] = [];
  let y = 0;
  for (const [n, { title, panels: specs }] of rows.entries()) {
    panels.push({
      id: 1_000 + n,
      type: "row",
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const spec of specs) {
      const { w, h } = spec.type === "stat" ? STAT : GRAPH;
      if (x + w > COLUMNS) {
        x = 0;
        y += height;
        height = 0;
      }
      panels.push(panelOf(spec, { x, y, w, h }));
      x += w;
      height = Math.max(height, h);
    }
    y += height;
  }
  return panels;
}

function panelOf(spec: PanelSpec, gridPos: object): object {
  const { id, title, help, queries, type = "timeseries" } = spec;
  return {
    id,
    type,
    title,
    description: help,
    datasource: DATASOURCE,
    gridPos,
    targets: queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      instant: false,
      range: true,
    })),
    fieldConfig: {
      defaults: { unit: spec.unit, min: 0, thresholds: thresholdsOf(spec), ...looksOf(spec) },
      overrides: [],
    },
    options: OPTIONS[type],
  };
}

const OPTIONS = {
  stat: { colorMode: "background", graphMode: "area", reduceOptions: { calcs: ["lastNotNull"] }, textMode: "auto" },
  timeseries: {
    legend: { displayMode: "list", placement: "bottom", showLegend: true },
    tooltip: { mode: "multi", sort: "desc" },
  },
  "state-timeline": { mergeValues: true, showValue: "never", legend: { displayMode: "list", placement: "bottom" } },
} as const;

function looksOf({ type = "timeseries", isStacked = false, warnAt, alarmAt }: PanelSpec): object {
  if (type !== "timeseries") return { color: { mode: "thresholds" } };
  const hasLimits = warnAt !== undefined || alarmAt !== undefined;
  return {
    color: { mode: "palette-classic" },
    custom: {
      lineWidth: 1,
      fillOpacity: isStacked ? 40 : 8,
      showPoints: "never",
      stacking: { mode: isStacked ? "normal" : "none" },
      thresholdsStyle: { mode: hasLimits ? "dashed" : "off" },
    },
  };
}

function thresholdsOf({ warnAt, alarmAt, isLowBad = false }: PanelSpec): object {
  const { good, warn, alarm } = COLORS;
  const steps: { color: string; value: number | null }[] = [];
  if (isLowBad) {
    steps.push({ color: alarm, value: null });
    if (alarmAt !== undefined) steps.push({ color: warnAt === undefined ? good : warn, value: alarmAt });
    if (warnAt !== undefined) steps.push({ color: good, value: warnAt });
  } else {
    steps.push({ color: good, value: null });
    if (warnAt !== undefined) steps.push({ color: warn, value: warnAt });
    if (alarmAt !== undefined) steps.push({ color: alarm, value: alarmAt });
  }
  return { mode: "absolute", steps };
}
