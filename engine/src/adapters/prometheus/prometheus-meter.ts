/**
 * The meter behind `GET /metrics`, on prom-client. A metric that is not in the tables is kept all the same, without
 * buckets of its own.
 *
 * Invariants: nothing here throws. Labels are bounded: a value from outside (app, function, ...) that comes when a metric
 * has as many as it tells apart is counted as `other`; so is a whole set of a metric that is in no table. Counters are
 * there from the start, at 0, where all their labels are known: else the first increase would not be seen as one.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { GaugeBoard, GaugeRow, Labels, Meter } from "@eddy/clients";
import { COUNTERS, GAUGES, HISTOGRAMS } from "./metrics.js";
import { valuesMax, type MetricSpec } from "./spec.js";

const UNKNOWN_VALUES_MAX = 1_000;
const OTHER = "other";
/** Gauges with the suffix of counters, which promtool does not like; there are others that say the same. */
const BADLY_NAMED = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

interface Label {
  readonly name: string;
  /** Values told apart; null: they are the table's. */
  readonly max: number | null;
  readonly seen: Set<string>;
}
interface Known<M> {
  readonly metric: M;
  readonly labels: readonly Label[];
}

export interface PrometheusOptions {
  /** Node's own metrics too: of the process, so for the one engine that has a process of its own. Default false. */
  readonly withProcess?: boolean;
}

export class PrometheusMeter implements Meter, GaugeBoard {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Known<Counter>>();
  readonly #histograms = new Map<string, Known<Histogram>>();
  readonly #gauges = new Map<string, Known<Gauge>>();

  constructor({ withProcess = false }: PrometheusOptions = {}) {
    if (withProcess) {
      collectDefaultMetrics({ register: this.#registry });
      for (const name of BADLY_NAMED) this.#registry.removeSingleMetric(name);
    }
    for (const [name, { labels = {} }] of Object.entries(COUNTERS)) {
      const { metric } = this.#counter(name, {});
      for (const set of closedSets(labels)) metric.inc(set, 0);
    }
    for (const name of Object.keys(HISTOGRAMS)) this.#histogram(name, {});
  }

  count(name: string, by: number, labels: Labels = {}): void {
    if (!(by >= 0)) return; // A counter never goes back.
    const known = this.#counters.get(name) ?? this.#counter(name, labels);
    known.metric.inc(valuesOf(known, labels), by);
  }

  observe(name: string, value: number, labels: Labels = {}): void {
    if (!Number.isFinite(value)) return;
    const known = this.#histograms.get(name) ?? this.#histogram(name, labels);
    known.metric.observe(valuesOf(known, labels), value);
  }

  gauge(name: string, value: number, labels: Labels = {}): void {
    if (Number.isNaN(value)) return;
    const known = this.#gauges.get(name) ?? this.#gauge(name, labels);
    known.metric.set(valuesOf(known, labels), value);
  }

  gauges(name: string, rows: readonly GaugeRow[]): void {
    const known = this.#gauges.get(name) ?? this.#gauge(name, rows[0]?.labels ?? {});
    known.metric.reset();
    for (const { seen } of known.labels) seen.clear();
    for (const { labels = {}, value } of rows) {
      // What is beyond the bound of a label adds up.
      if (!Number.isNaN(value)) known.metric.inc(valuesOf(known, labels), value);
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #counter(name: string, given: Labels): Known<Counter> {
    const { config, labels } = this.#made(name, COUNTERS[name], given);
    return remember(this.#counters, name, { metric: new Counter(config), labels });
  }

  #histogram(name: string, given: Labels): Known<Histogram> {
    const { config, labels } = this.#made(name, HISTOGRAMS[name], given, true);
    const buckets = HISTOGRAMS[name]?.buckets;
    const metric = new Histogram({ ...config, ...(buckets === undefined ? {} : { buckets: [...buckets] }) });
    return remember(this.#histograms, name, { metric, labels });
  }

  #gauge(name: string, given: Labels): Known<Gauge> {
    const { config, labels } = this.#made(name, GAUGES[name], given);
    return remember(this.#gauges, name, { metric: new Gauge(config), labels });
  }

  #made(name: string, spec: MetricSpec | undefined, given: Labels, isHistogram = false) {
    const labels: readonly Label[] =
      spec === undefined
        ? Object.keys(given).map((label) => ({ name: label, max: UNKNOWN_VALUES_MAX, seen: new Set() }))
        : Object.entries(spec.labels ?? {}).map(([label, values]) => {
            return { name: label, max: valuesMax(label, values, isHistogram), seen: new Set() };
          });
    const labelNames = labels.map((label) => label.name);
    return { labels, config: { name, help: spec?.help ?? name, labelNames, registers: [this.#registry] } };
  }
}

function remember<M>(into: Map<string, Known<M>>, name: string, known: Known<M>): Known<M> {
  into.set(name, known);
  return known;
}

/** The values of the metric's own labels: others are left out, a missing one is empty. */
function valuesOf({ labels }: Known<unknown>, given: Labels): Record<string, string> {
  const values: Record<string, string> = {};
  for (const { name, max, seen } of labels) {
    const value = given[name] ?? "";
    const isOwn = max === null || seen.has(value) || seen.size < max;
    if (isOwn && max !== null) seen.add(value);
    values[name] = isOwn ? value : OTHER;
  }
  return values;
}

/** All sets of values, where all of them are known beforehand. */
function closedSets(labels: NonNullable<MetricSpec["labels"]>): readonly Record<string, string>[] {
  let sets: Record<string, string>[] = [{}];
  for (const [name, values] of Object.entries(labels)) {
    if (values === "open") return [];
    sets = sets.flatMap((set) => values.map((value) => ({ ...set, [name]: value })));
  }
  return Object.keys(labels).length === 0 ? [] : sets;
}
