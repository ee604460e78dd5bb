/** `eddy run <id>`: how a run stands and what happened to it, live with --follow. `eddy cancel <id>` ends it. */
import type { Clock } from "@eddy/clients";
import { LIMITS, type RunReply, type RunSummary, type TimelineLine } from "@eddy/schemas";
import { InvalidArgumentError, type Command } from "commander";
import { EXIT, type ExitCode } from "../exit-codes.js";
import {
  clientCommand,
  printJson,
  sessionOf,
  type ClientDeps,
  type CommonOptions,
  type Session,
} from "./client-command.js";
import type { Ask } from "./gateway-api.js";
import { runHead, runState, statusShown } from "./run-text.js";
import { isEnd, timelineText } from "./timeline-text.js";

interface RunOptions extends CommonOptions {
  readonly follow?: true;
}
interface CancelOptions extends CommonOptions {
  readonly reason?: string;
}

/** Pause between two looks at a run that is followed, in ms: it grows while nothing happens. */
const LOOK_MS = { first: 100, factor: 1.5, max: 1_000 } as const;

const HELP = `With --json: {data, timeline}, as GET /v1/runs/<id> and its timeline have them; with --follow --json
each line of the timeline on its own. With --follow it ends with ${EXIT.notCompleted} where the run Failed or
was Cancelled.`;

/** @param end told the exit code where it is not 0 */
export function addRunCommand(program: Command, deps: ClientDeps, end: (code: ExitCode) => void): void {
  clientCommand(program, "run <id>", "show a run and what happened to it", HELP)
    .option("-f, --follow", "go on until it ends")
    .action(async (id: string, options: RunOptions) => {
      const session = sessionOf(options, deps);
      if (options.follow !== true) return show(session, id);
      const status = await follow(session, id, deps.clock);
      if (status !== "Completed") end(EXIT.notCompleted);
    });
}

export function addCancelCommand(program: Command, deps: ClientDeps): void {
  clientCommand(program, "cancel <id>", "cancel a run")
    .option("--reason <text>", "why, for its timeline", reasonOption)
    .action(async (id: string, options: CancelOptions) => {
      const session = sessionOf(options, deps);
      const search =
        options.reason === undefined ? "" : `?${new URLSearchParams({ reason: options.reason }).toString()}`;
      const reply = await session.api.ask<RunReply>(`${pathOf(id)}${search}`, { method: "DELETE" });
      if (session.isJson) return printJson(session, reply);
      const { run_id, status } = reply.data;
      const { colors } = session.terminal;
      const is = status === "Running" ? "will be cancelled" : `is ${statusShown(status, colors)}`;
      await session.terminal.write(`run ${run_id} ${is}\n`);
    });
}

const pathOf = (id: string): string => `/v1/runs/${encodeURIComponent(id)}`;

async function runOf({ api }: Session, id: string, ask?: Ask): Promise<RunSummary> {
  return (await api.ask<RunReply>(pathOf(id), ask)).data;
}
async function timelineOf({ api }: Session, id: string, ask?: Ask): Promise<readonly TimelineLine[]> {
  return (await api.ask<{ readonly data: readonly TimelineLine[] }>(`${pathOf(id)}/timeline`, ask)).data;
}

async function show(session: Session, id: string): Promise<void> {
  // In this order: what is told as ended has the end in its timeline.
  const run = await runOf(session, id);
  const timeline = await timelineOf(session, id);
  if (session.isJson) return printJson(session, { data: run, timeline });
  const { terminal } = session;
  const lines = timeline.map((line) => timelineText(line, run.run_started_at, terminal));
  await terminal.write(`${runHead(run, terminal)}${runState(run, terminal)}\n${lines.join("")}`);
}

/** Prints what is new at each look until the run has ended. An engine that goes away meanwhile is waited for. */
async function follow(session: Session, id: string, clock: Clock): Promise<RunSummary["status"]> {
  const { terminal, isJson } = session;
  const start = await runOf(session, id);
  if (!isJson) await terminal.write(`${runHead(start, terminal)}\n`);
  let told = 0;
  for (let pauseMs: number = LOOK_MS.first; ; pauseMs = Math.min(pauseMs * LOOK_MS.factor, LOOK_MS.max)) {
    const timeline = await timelineOf(session, id, { isPatient: true });
    const fresh = timeline.slice(told);
    told = timeline.length;
    const lines = fresh.map((line) =>
      isJson ? `${JSON.stringify(line)}\n` : timelineText(line, start.run_started_at, terminal),
    );
    if (lines.length > 0) await terminal.write(lines.join(""));
    if (timeline.some(isEnd)) break;
    if (lines.length > 0) pauseMs = LOOK_MS.first;
    await clock.sleep(pauseMs);
  }
  const ended = await runOf(session, id, { isPatient: true });
  if (!isJson) await terminal.write(`\n${runState(ended, terminal)}`);
  return ended.status;
}

function reasonOption(text: string): string {
  if (text.length >= 1 && text.length <= LIMITS.cancelReasonCharsMax) return text;
  throw new InvalidArgumentError(`Expected 1 to ${LIMITS.cancelReasonCharsMax} characters.`);
}
