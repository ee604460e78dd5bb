/**
 * `npm run test:dashboards`: every panel of every dashboard shows something, every alert is understood, and promtool has
 * nothing to say about the metrics. An embedded engine under light load, scraped by a real Prometheus, all on free ports
 * of the loopback. Ends within a minute and a half; what is still empty then is told.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEngineConfig, startEngine } from "@eddy/engine";
import { PrometheusMeter } from "../../engine/src/adapters/prometheus/index.js";
import { startLoad } from "./load.js";
import { pause } from "./pause.js";
import { missing, Prometheus } from "./prometheus.js";

const FILES = join(import.meta.dirname, "../../charts/eddy/files");
const RULES = join(FILES, "rules/eddy-alerts.yaml");
/** How long panels may stay empty, from the begin of the load. */
const EMPTY_MS_MAX = 60_000;
const LOOK_AGAIN_MS = 1_000;

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
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

async function emptyPanels(prometheus: Prometheus): Promise<readonly string[]> {
  const until = Date.now() + EMPTY_MS_MAX;
  let open = await queries();
  console.log(`${open.length} queries of panels`);
  for (;;) {
    const still: Asked[] = [];
    const problems: string[] = [];
    for (const asked of open) {
      const trouble = await troubleOf(prometheus, asked);
      if (trouble === null) continue;
      still.push(asked);
      problems.push(`${asked.at}: ${asked.expr}: ${trouble}`);
    }
    if (problems.length === 0 || Date.now() > until) return problems;
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
async function badRules(prometheus: Prometheus): Promise<readonly string[]> {
  const rules = await prometheus.rules();
  console.log(`${rules.length} alerts`);
  if (rules.length === 0) return ["there are no alerts"];
  const bad = rules.filter(({ health }) => health !== "ok");
  return bad.map(({ name, health, lastError }) => `${name}: ${health}: ${lastError ?? ""}`);
}

async function lint(url: string): Promise<readonly string[]> {
  const input = await (await fetch(`${url}/metrics`)).text();
  console.log(`${input.split("\n").length} lines of metrics`);
  const { stdout, stderr, status } = spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" });
  return status === 0 ? [] : `${stdout}${stderr}`.trim().split("\n");
}

async function check(): Promise<readonly string[]> {
  const lacking = missing(["prometheus", "promtool"]);
  if (lacking.length > 0) return [`${lacking.join(" and ")}: not installed; apt-get install prometheus`];
  const folder = await mkdtemp(join(tmpdir(), "eddy-dashboards-"));
  const config = readEngineConfig({ port: 0, dataDir: join(folder, "data"), partitions: 2, logLevel: "error" }, {});
  const engine = await startEngine(config, { meter: new PrometheusMeter({ withProcess: true }) });
  let prometheus: Prometheus | null = null;
  try {
    prometheus = await Prometheus.start(folder, new URL(engine.url).host, RULES);
    const load = await startLoad(engine);
    try {
      const problems = await emptyPanels(prometheus);
      await tellUsual(prometheus);
      return [...problems, ...(await badRules(prometheus)), ...(await lint(engine.url))];
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
const problems = await check();
for (const problem of problems) console.log(problem);
console.log(`${problems.length === 0 ? "all well" : `${problems.length} problems`}, ${Date.now() - begin} ms`);
process.exitCode = problems.length === 0 ? 0 : 1;
