/** Runs, as text. */
import type { RunStatus, RunSummary } from "@eddy/schemas";
import type { Column } from "./table.js";
import type { Colors, Terminal } from "./terminal.js";
import { cut, jsonShown, shown, timeShown, tookShown } from "./text.js";

const COLOR = { Running: "cyan", Completed: "green", Failed: "red", Cancelled: "yellow" } as const;

export const statusShown = (status: RunStatus, colors: Colors): string => colors[COLOR[status]](status);

export const RUN_COLUMNS: readonly Column[] = [
  { title: "RUN" },
  { title: "STATUS" },
  { title: "FUNCTION", mayBeCut: true },
  { title: "EVENT", mayBeCut: true },
  { title: "STARTED" },
  { title: "TOOK" },
];

export function runRow(run: RunSummary, colors: Colors): readonly string[] {
  const { run_id, status, function_id, event_name, run_started_at, ended_at } = run;
  const took = ended_at === null ? "-" : tookShown(run_started_at, ended_at);
  return [run_id, statusShown(status, colors), shown(function_id), shown(event_name), timeShown(run_started_at), took];
}

/** Of the names of fields, with the gap behind them. */
const FIELD_WIDTH = 10;
/** Name and value, a line each. */
export function fields(pairs: readonly (readonly [name: string, value: string])[], colors: Colors): string {
  return pairs.map(([name, value]) => `${colors.dim(name.padEnd(FIELD_WIDTH))}${value}\n`).join("");
}

/** What is known from its start on. */
export function runHead(run: RunSummary, { colors }: Pick<Terminal, "colors">): string {
  const { run_id, function_id, event_name, event_id, run_started_at } = run;
  const event = event_id === "" ? "no longer known" : `${shown(event_name)} ${colors.dim(shown(event_id))}`;
  const pairs = [
    ["run", run_id],
    ["function", shown(function_id)],
    ["event", event],
    ["started", timeShown(run_started_at)],
  ] as const;
  return fields(pairs, colors);
}

/** How it stands, and what came of it. */
export function runState(run: RunSummary, { colors, columns }: Pick<Terminal, "colors" | "columns">): string {
  const { status, run_started_at, ended_at, output, error } = run;
  const after = ended_at === null ? "" : colors.dim(` after ${tookShown(run_started_at, ended_at)}`);
  const room = columns === null ? null : columns - FIELD_WIDTH;
  const pairs: (readonly [string, string])[] = [["status", `${statusShown(status, colors)}${after}`]];
  if (status === "Completed") pairs.push(["output", cut(jsonShown(output), room)]);
  if (error !== null) pairs.push(["error", shown(`${error.name}: ${error.message}`)]);
  return fields(pairs, colors);
}
