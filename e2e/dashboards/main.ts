/**
 * `npm run test:dashboards`: every panel of every dashboard shows something, every alert is understood, fires when it
 * should and not else, and promtool has nothing to say about the metrics. An embedded engine under light load, scraped by
 * a real Prometheus, all on free ports of the loopback. Ends within a minute and a half; what is still empty then is told.
 * Writes .cache/test/dashboards-totals.txt ("N passed, N failed"), as .ci/run wants it.
 */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEngineConfig, startEngine } from "@eddy/engine";
import { PrometheusMeter } from "../../engine/src/adapters/prometheus/index.js";
import { startLoad } from "./load.js";
import { pause } from "./pause.js";
import { missing, Prometheus } from "./prometheus.js";

const FILES = join(import.meta.dirname, "../../charts/eddy/files");
const RULES = join(FILES, "rules/eddy-alerts.yaml");
const RULE_TESTS = join(import.meta.dirname, "../../scripts/monitoring/eddy-alerts.test.yaml");
const REPORTS = join(import.meta.dirname, "../../.cache/test");
const MS_MAX = 90_000;
/** How long panels may stay empty, from the begin of the load. */
const EMPTY_MS_MAX = 60_000;
const LOOK_AGAIN_MS = 1_000;

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}
/** What was looked at, and what is wrong with it. */
interface Found {
  readonly checks: number;
  readonly problems: readonly string[];
}
interface Asked {
  /** Where it stands. */
  readonly at: string;
  readonly expr: string;
}

const VARIABLES: readonly (readonly [RegExp, string])[] = [
  [/\$namespace\b/g, "test"],
  [/\$job\b/g, "eddy"],
  [/\$(function|app)\b/g, ".*"],
  [/\$__rate_interval\b/g, "15s"],
];

async function queries(): Promise<readonly Asked[]> {
  const found: Asked[] = [];
  for (const file of await readdir(join(FILES, "dashboards"))) {
    const { panels } = JSON.parse(await readFile(join(FILES, "dashboards", file), "utf8")) as { panels: Panel[] };
    for (const { title, targets = [] } of panels) {
      for (const { expr } of targets) {
        const filled = VARIABLES.reduce((text, [name, value]) => text.replace(name, value), expr);
        found.push({ at: `${file}: ${title}`, expr: filled });
      }
    }
  }
  return found;
}

/** @returns what is wrong with a query; null: it shows something. */
async function troubleOf(prometheus: Prometheus, { expr }: Asked): Promise<string | null> {
  try {
    const samples = await prometheus.query(expr);
    return samples.some(({ value }) => Number.isFinite(value)) ? null : "is empty";
  } catch (error) {
    return String(error);
  }
}

async function emptyPanels(prometheus: Prometheus): Promise<Found> {
  const until = Date.now() + EMPTY_MS_MAX;
  let open = await queries();
  const checks = open.length;
  console.log(`${checks} queries of panels`);
  for (;;) {
    const still: Asked[] = [];
    const problems: string[] = [];
    for (const asked of open) {
      const trouble = await troubleOf(prometheus, asked);
      if (trouble === null) continue;
      still.push(asked);
      problems.push(`${asked.at}: ${asked.expr}: ${trouble}`);
    }
    if (problems.length === 0 || Date.now() > until) return { checks, problems };
    open = still;
    await pause(LOOK_AGAIN_MS);
  }
}

/** What docs/operate/monitoring.md calls normal: told, not judged, for it is the machine's. */
const USUAL: readonly (readonly [what: string, expr: string])[] = [
  ["event to dispatch, p95, s", quantile("eddy_event_to_dispatch_seconds")],
  ["result to dispatch, p95, s", quantile("eddy_result_to_dispatch_seconds")],
  ["step duration, p95, s", quantile("eddy_step_seconds")],
  ["timers late, p95, s", quantile("eddy_timer_lateness_seconds")],
  ["checkpoint, p95, s", quantile("eddy_checkpoint_seconds")],
  ["HTTP request, p95, s", quantile("eddy_http_request_seconds")],
  ["lag, at most, s", "max(max_over_time(eddy_inbox_lag_seconds[1m]))"],
  ["timers overdue, at most, s", "max(max_over_time(eddy_timers_overdue_seconds[1m]))"],
  ["age of what no checkpoint has, at most, s", "max(max_over_time(eddy_checkpoint_age_seconds[1m]))"],
  ["rows found in memory", 'sum(eddy_row_reads_total{from="memory"}) / sum(eddy_row_reads_total)'],
];

function quantile(histogram: string): string {
  return `histogram_quantile(0.95, sum by (le) (${histogram}_bucket))`;
}

async function tellUsual(prometheus: Prometheus): Promise<void> {
  for (const [what, expr] of USUAL) {
    const [sample] = await prometheus.query(expr);
    console.log(`${what}: ${sample?.value.toFixed(3) ?? "nothing"}`);
  }
}

/** Rules that Prometheus cannot evaluate, or has not tried. */
async function badRules(prometheus: Prometheus): Promise<Found> {
  const rules = await prometheus.rules();
  console.log(`${rules.length} alerts`);
  const bad = rules.filter(({ health }) => health !== "ok");
  const problems = bad.map(({ name, health, lastError }) => `${name}: ${health}: ${lastError ?? ""}`);
  return rules.length === 0 ? { checks: 1, problems: ["there are no alerts"] } : { checks: rules.length, problems };
}

async function lint(url: string): Promise<Found> {
  const input = await (await fetch(`${url}/metrics`)).text();
  console.log(`${input.split("\n").length} lines of metrics`);
  return promtool(["check", "metrics"], input);
}

/** One check. */
function promtool(args: readonly string[], input = ""): Found {
  const { stdout, stderr, status } = spawnSync("promtool", args, { input, encoding: "utf8" });
  return { checks: 1, problems: status === 0 ? [] : [`promtool ${args.join(" ")}:\n${stdout}${stderr}`.trim()] };
}

async function check(): Promise<readonly Found[]> {
  const lacking = missing(["prometheus", "promtool"]);
  if (lacking.length > 0) {
    return [{ checks: 1, problems: [`${lacking.join(" and ")}: not installed; apt-get install prometheus`] }];
  }
  const rules = [promtool(["check", "rules", RULES]), promtool(["test", "rules", RULE_TESTS])];
  const folder = await mkdtemp(join(tmpdir(), "eddy-dashboards-"));
  const config = readEngineConfig({ port: 0, dataDir: join(folder, "data"), partitions: 2, logLevel: "error" }, {});
  const engine = await startEngine(config, { meter: new PrometheusMeter({ withProcess: true }) });
  let prometheus: Prometheus | null = null;
  try {
    prometheus = await Prometheus.start(folder, new URL(engine.url).host, RULES);
    const load = await startLoad(engine);
    try {
      const panels = await emptyPanels(prometheus);
      await tellUsual(prometheus);
      return [...rules, panels, await badRules(prometheus), await lint(engine.url)];
    } finally {
      await load.stop();
    }
  } finally {
    await prometheus?.stop();
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const begin = Date.now();
const totals = join(REPORTS, "dashboards-totals.txt");
await rm(totals, { force: true });
const watchdog = setTimeout(() => {
  console.log(`not done after ${MS_MAX} ms`);
  process.exit(1);
}, MS_MAX);
const found = await check();
clearTimeout(watchdog);
const problems = found.flatMap((part) => part.problems);
for (const problem of problems) console.log(problem);
const failed = problems.length;
const passed = found.reduce((sum, { checks }) => sum + checks, 0) - failed;
console.log(`${passed} passed, ${failed} failed, ${Date.now() - begin} ms`);
await mkdir(REPORTS, { recursive: true });
await writeFile(totals, `${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
