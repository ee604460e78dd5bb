/** docs/operate/metrics.md: the tables of all metrics, from the meter's own. */
import { COUNTERS, GAUGES, HISTOGRAMS } from "../../engine/src/adapters/prometheus/metrics.js";
import { HISTOGRAM_VALUES_MAX, OPEN_LABELS, type MetricSpec } from "../../engine/src/adapters/prometheus/spec.js";

const INTRODUCTION = `# Metrics

Written by \`npm run gen\` from the tables in \`engine/src/adapters/prometheus\`. \`GET /metrics\` of each engine has
them, with Node's own (\`process_…\`, \`nodejs_…\`). What to watch: [monitoring.md](monitoring.md).

- **Final** counters grow with the checkpoint that makes final what they count, about a second later. A record that is
  applied again after a takeover was not counted before: the sum over all engines counts it once. What an engine counted
  after Prometheus last looked at it dies with it. The other counters say what a process did, repeats included.
- Gauges are of the moment they are asked for. What is told by partition is told by the engine that has it; what is told
  by function is the sum over the partitions of one engine: add up over engines.
- A counter whose labels are all known beforehand is there from the start, at 0.
- Histograms of time measure from the log's append times where they say so: clocks of brokers and engines should agree.

## Labels

No label ever has a run id, a key or an event's name. Values that come from outside are bounded, each metric for itself:
what comes when it is full is told as \`other\`. So with 1,000 functions counters and gauges still tell all of them
apart, histograms the first ${HISTOGRAM_VALUES_MAX} that the engine meets; other labels beside \`other\` stay right.

`;

/** @returns file name to text. */
export function metricsPage(): ReadonlyMap<string, string> {
  const labels = Object.entries(OPEN_LABELS).map(
    ([label, { means, max }]) => `| \`${label}\` | ${means} | ${max.toLocaleString("en")} |`,
  );
  const text = [
    INTRODUCTION + ["| label | | values |", "|---|---|---|", ...labels].join("\n"),
    section("Counters", COUNTERS),
    section("Gauges", GAUGES),
    section("Histograms", HISTOGRAMS),
  ].join("\n\n");
  return new Map([["metrics.md", `${text}\n`]]);
}

function section(title: string, metrics: Readonly<Record<string, MetricSpec>>): string {
  const rows = Object.entries(metrics)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { labels = {}, help }]) => `| \`${name}\` | ${labelsOf(labels)} | ${help} |`);
  return [`## ${title}`, "", "| metric | labels | |", "|---|---|---|", ...rows].join("\n");
}

function labelsOf(labels: NonNullable<MetricSpec["labels"]>): string {
  return Object.entries(labels)
    .map(([label, values]) => (values === "open" ? `\`${label}\`` : `\`${label}\`: ${values.join(", ")}`))
    .join("; ");
}
