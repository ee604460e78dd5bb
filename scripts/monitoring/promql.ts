/** Expressions of the dashboards: what they select, rates, quantiles. */
import type { Query } from "./grafana.js";

const HERE = 'namespace=~"$namespace",job=~"$job"';
const RANGE = "$__rate_interval";

/** @param more further matchers: `status!="running"`. */
export function of(metric: string, more = ""): string {
  return `${metric}{${[HERE, more].filter((part) => part !== "").join(",")}}`;
}
const OF_FUNCTION = 'function=~"$function"';
const OF_APP = 'app=~"$app"';
export const ofFunction = (metric: string, more = ""): string =>
  of(metric, [OF_FUNCTION, more].filter((part) => part !== "").join(","));
export const ofApp = (metric: string): string => of(metric, OF_APP);

export function rate(selector: string, by = ""): string {
  return `sum${by === "" ? "" : ` by (${by})`} (rate(${selector}[${RANGE}]))`;
}
/** Of what is not there before it happens first: 0 until then. */
export const orZero = (expr: string): string => `(${expr}) or vector(0)`;

/** @param selector of the histogram's buckets. @param by besides `le`. */
export function quantile(q: number, selector: string, by = ""): string {
  const labels = ["le", by].filter((part) => part !== "").join(", ");
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${selector}[${RANGE}])))`;
}
/** Half, 95 and 99 of 100. */
export function quantiles(selector: string): readonly Query[] {
  return [0.5, 0.95, 0.99].map((q) => ({ expr: quantile(q, selector), legend: `p${q * 100}` }));
}
export const one = (expr: string, legend: string): readonly Query[] => [{ expr, legend }];
