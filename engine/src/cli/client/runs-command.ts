/** `eddy runs`: lists of runs, the newest start first. */
import { LIMITS, runStatus, type RunsReply, type RunSummary } from "@eddy/schemas";
import { InvalidArgumentError, Option, type Command } from "commander";
import {
  clientCommand,
  printJson,
  sessionOf,
  type ClientDeps,
  type CommonOptions,
  type Session,
} from "./client-command.js";
import { usageError } from "./command-error.js";
import { RUN_COLUMNS, runRow } from "./run-text.js";
import { Table } from "./table.js";
import { timeOrAgoOption } from "./time-option.js";

interface RunsOptions extends CommonOptions {
  readonly function?: string;
  readonly status?: string;
  readonly event?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: number;
  readonly all?: true;
}

const HELP = `With --json: {data, next_cursor}; with --all --json a run per line.

  eddy runs --status Failed --since 24h
  eddy runs --all --json > runs.ndjson`;

export function addRunsCommand(program: Command, deps: ClientDeps): void {
  clientCommand(program, "runs", "list runs, the newest first", HELP)
    .option("--function <id>", "of this function alone: app/function")
    .addOption(
      new Option("--status <status>", "in this status alone").choices(runStatus.options).argParser(statusOption),
    )
    .option("--event <name>", "started by events of this name alone")
    .option("--since <time>", "started then or later: ISO 8601, ms since 1970, or how long ago (2h)")
    .option("--until <time>", "started before then")
    .option("--limit <number>", `at most so many (default: ${LIMITS.runsPerPage})`, countOption)
    .option("--all", "all of them")
    .action((options: RunsOptions) => listRuns(options, deps));
}

async function listRuns(options: RunsOptions, deps: ClientDeps): Promise<void> {
  if (options.all === true && options.limit !== undefined) throw usageError("expected --all or --limit, not both");
  const session = sessionOf(options, deps);
  const filter = await filterOf(options, session, deps.clock.nowMs());
  const limit = options.all === true ? Number.POSITIVE_INFINITY : (options.limit ?? LIMITS.runsPerPage);
  const pages = pagesOf(session, filter, limit);
  if (session.isJson) return options.all === true ? printLines(session, pages) : printDocument(session, pages);
  const { terminal } = session;
  const table = new Table(RUN_COLUMNS, terminal);
  let count = 0;
  let isMore = false;
  for await (const { data, next_cursor } of pages) {
    count += data.length;
    isMore = next_cursor !== null;
    if (data.length > 0) await terminal.write(table.render(data.map((run) => runRow(run, terminal.colors))));
  }
  if (count === 0) terminal.hint("no runs");
  else if (isMore) terminal.hint(terminal.colors.dim(`there may be more: --limit ${limit * 10}, or --all`));
}

/** Pages until there is no more, or `limit` runs. */
async function* pagesOf({ api }: Session, filter: URLSearchParams, limit: number): AsyncIterable<RunsReply> {
  let left = limit;
  for (let cursor: string | null = ""; cursor !== null && left > 0;) {
    const search = new URLSearchParams(filter);
    search.set("limit", String(Math.min(left, LIMITS.runsPerPageMax)));
    if (cursor !== "") search.set("cursor", cursor);
    const page: RunsReply = await api.ask<RunsReply>(`/v1/runs?${search.toString()}`);
    left -= page.data.length;
    cursor = page.next_cursor;
    yield page;
  }
}

async function printLines({ terminal }: Session, pages: AsyncIterable<RunsReply>): Promise<void> {
  for await (const { data } of pages) await terminal.write(data.map((run) => `${JSON.stringify(run)}\n`).join(""));
}

async function printDocument(session: Session, pages: AsyncIterable<RunsReply>): Promise<void> {
  const data: RunSummary[] = [];
  let next_cursor: string | null = null;
  for await (const page of pages) {
    data.push(...page.data);
    next_cursor = page.next_cursor;
  }
  return printJson(session, { data, next_cursor } satisfies RunsReply);
}

async function filterOf(options: RunsOptions, { api }: Session, nowMs: number): Promise<URLSearchParams> {
  const { since, until } = options;
  const given = {
    function: options.function,
    status: options.status,
    event: options.event,
    from: since === undefined ? undefined : String(await timeOrAgoOption(since, "--since", api, nowMs)),
    until: until === undefined ? undefined : String(await timeOrAgoOption(until, "--until", api, nowMs)),
  };
  const pairs = Object.entries(given).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  return new URLSearchParams(pairs);
}

/** In any case. */
function statusOption(text: string): string {
  const status = runStatus.options.find((option) => option.toLowerCase() === text.toLowerCase());
  if (status !== undefined) return status;
  throw new InvalidArgumentError(`Allowed choices are ${runStatus.options.join(", ")}.`);
}

function countOption(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a whole number of at least 1.");
}
