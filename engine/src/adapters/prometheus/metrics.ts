/** Every metric that Eddy has: what it means, its labels, the buckets of histograms. In base units: seconds, bytes. */
import { COUNTERS as counters } from "./counters.js";
import { GAUGES as gauges } from "./gauges.js";
import { HISTOGRAMS as histograms } from "./histograms.js";
import type { HistogramSpec, MetricSpec } from "./spec.js";

export const COUNTERS: Readonly<Record<string, MetricSpec>> = counters;
export const HISTOGRAMS: Readonly<Record<string, HistogramSpec>> = histograms;
export const GAUGES: Readonly<Record<string, MetricSpec>> = gauges;
