/** What a metric says of itself: the tables beside this file, the meter and the page in docs/operate come from it. */

/** Labels whose values come from outside. Of each metric so many are told apart, what is beyond is `other`. */
export const OPEN_LABELS = {
  app: { means: "app", max: 1_000 },
  function: { means: "function id, `app/function`", max: 1_000 },
  source: { means: "topic that events are taken from", max: 100 },
  partition: { means: "partition of the inbox", max: 4_096 },
  route: { means: "route of the HTTP API as it is declared, `none`: no such route", max: 1_000 },
  method: { means: "HTTP method, `none`: no such route", max: 20 },
  status: { means: "HTTP status", max: 100 },
  code: { means: "code of the error, see docs/errors", max: 100 },
} as const;
export type OpenLabel = keyof typeof OPEN_LABELS;

/** Of a histogram, a set of labels is a dozen series: fewer are told apart. */
export const HISTOGRAM_VALUES_MAX = 100;

/** All values that a label may have, or that they come from outside. */
export type LabelValues = readonly string[] | "open";

export interface MetricSpec {
  readonly help: string;
  /** `open`: the name is one of OPEN_LABELS. */
  readonly labels?: Readonly<Record<string, LabelValues>>;
}

export interface HistogramSpec extends MetricSpec {
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[];
}

/** How many values of this label a metric tells apart; null: all that it is declared to have. */
export function valuesMax(label: string, values: LabelValues, isHistogram: boolean): number | null {
  if (values !== "open") return null;
  const { max } = OPEN_LABELS[label as OpenLabel];
  return isHistogram ? Math.min(max, HISTOGRAM_VALUES_MAX) : max;
}
