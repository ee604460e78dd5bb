/** charts/eddy/files/dashboards: what Grafana imports, from the descriptions beside this file. */
import { ENGINE } from "./engine.js";
import { FUNCTIONS } from "./functions.js";
import { dashboardOf, type DashboardSpec } from "./grafana.js";
import { OVERVIEW } from "./overview.js";
import { WORKERS } from "./workers.js";

export const DASHBOARDS: Readonly<Record<string, DashboardSpec>> = {
  "overview.json": OVERVIEW,
  "functions.json": FUNCTIONS,
  "engine.json": ENGINE,
  "workers.json": WORKERS,
};

/** @returns file name to text. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  const files = Object.entries(DASHBOARDS);
  return new Map(files.map(([name, spec]) => [name, `${JSON.stringify(dashboardOf(spec), null, 2)}\n`]));
}
