/**
 * The meter behind `GET /metrics`. A metric that is not in the table is kept all the same, without buckets of its own.
 *
 * Invariants: nothing here throws; a metric has at most LABEL_SETS_MAX sets of label values, what comes beyond is counted
 * as `other`, so that no label can grow without bound.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Labels, Meter } from "@eddy/clients";
import { COUNTERS, GAUGES, HISTOGRAMS, type MetricSpec } from "./metrics.js";

const LABEL_SETS_MAX = 1_000;
const OTHER = "other";

interface Known<M> {
  readonly metric: M;
  readonly labels: readonly string[];
  /** Sets of label values so far. */
  readonly sets: Set<string>;
}

export interface PrometheusOptions {
  /** Node's own metrics too: of the process, so for the one engine that has a process of its own. Default false. */
  readonly withProcess?: boolean;
}

export class PrometheusMeter implements Meter {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Known<Counter>>();
  readonly #histograms = new Map<string, Known<Histogram>>();
  readonly #gauges = new Map<string, Known<Gauge>>();

  constructor({ withProcess = false }: PrometheusOptions = {}) {
    if (withProcess) collectDefaultMetrics({ register: this.#registry });
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

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #counter(name: string, labels: Labels): Known<Counter> {
    const config = this.#configOf(name, COUNTERS[name], labels);
    return remember(this.#counters, name, config.labelNames, new Counter(config));
  }

  #histogram(name: string, labels: Labels): Known<Histogram> {
    const buckets = HISTOGRAMS[name]?.buckets;
    const config = this.#configOf(name, HISTOGRAMS[name], labels);
    const metric = new Histogram({ ...config, ...(buckets === undefined ? {} : { buckets: [...buckets] }) });
    return remember(this.#histograms, name, config.labelNames, metric);
  }

  #gauge(name: string, labels: Labels): Known<Gauge> {
    const config = this.#configOf(name, GAUGES[name], labels);
    return remember(this.#gauges, name, config.labelNames, new Gauge(config));
  }

  #configOf(name: string, spec: MetricSpec | undefined, labels: Labels) {
    const labelNames = [...(spec?.labels ?? Object.keys(labels))];
    return { name, help: spec?.help ?? name, labelNames, registers: [this.#registry] };
  }
}

function remember<M>(into: Map<string, Known<M>>, name: string, labels: readonly string[], metric: M): Known<M> {
  const known = { metric, labels, sets: new Set<string>() };
  into.set(name, known);
  return known;
}

/** The values of the metric's own labels: others are left out, a missing one is empty. */
function valuesOf({ labels, sets }: Known<unknown>, given: Labels): Record<string, string> {
  if (labels.length === 0) return {};
  const values = labels.map((label) => given[label] ?? "");
  const set = values.join("\0");
  const isKnown = sets.has(set) || sets.size < LABEL_SETS_MAX;
  if (isKnown) sets.add(set);
  return Object.fromEntries(labels.map((label, i) => [label, isKnown ? (values[i] ?? "") : OTHER]));
}
