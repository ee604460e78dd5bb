/** `eddy events <id>`, `eddy functions`, `eddy clock`. */
import { parseDuration, type ClockReply, type EventReply, type FunctionsReply, type FunctionView } from "@eddy/schemas";
import type { Command } from "commander";
import {
  clientCommand,
  printJson,
  sessionOf,
  type ClientDeps,
  type CommonOptions,
  type Session,
} from "./client-command.js";
import { usageError } from "./command-error.js";
import { fields, RUN_COLUMNS, runRow } from "./run-text.js";
import { Table, type Column } from "./table.js";
import { durationShown, jsonShown, shown, timeShown } from "./text.js";

export function addEventsCommand(program: Command, deps: ClientDeps): void {
  clientCommand(program, "events <id>", "show an event and the runs that it started").action(
    async (id: string, options: CommonOptions) => {
      const session = sessionOf(options, deps);
      const reply = await session.api.ask<EventReply>(`/v1/events/${encodeURIComponent(id)}`);
      if (session.isJson) return printJson(session, reply);
      await session.terminal.write(eventText(reply, session));
    },
  );
}

function eventText({ data }: EventReply, { terminal }: Session): string {
  const { colors } = terminal;
  const received = data.received_at === null ? "no longer known" : timeShown(data.received_at);
  const { data: content, user } = (data.event ?? {}) as { readonly data?: unknown; readonly user?: unknown };
  const pairs: (readonly [string, string])[] = [
    ["event", shown(data.id)],
    ["name", shown(data.name)],
    ["received", received],
  ];
  if (data.event === null) pairs.push(["data", "no longer kept"]);
  if (content !== undefined) pairs.push(["data", jsonShown(content)]);
  if (user !== undefined) pairs.push(["user", jsonShown(user)]);
  const rows = data.runs.map((run) => runRow(run, colors));
  const runs = rows.length === 0 ? "it started nothing\n" : new Table(RUN_COLUMNS, terminal).render(rows);
  return `${fields(pairs, colors)}\n${runs}`;
}

const FUNCTION_COLUMNS: readonly Column[] = [
  { title: "FUNCTION" },
  { title: "TRIGGERS", mayBeCut: true },
  { title: "WAITS FOR", mayBeCut: true },
  { title: "CANCELLED BY", mayBeCut: true },
  { title: "WORKERS" },
  { title: "VERSION" },
];

export function addFunctionsCommand(program: Command, deps: ClientDeps): void {
  clientCommand(program, "functions", "list the registered functions").action(async (options: CommonOptions) => {
    const session = sessionOf(options, deps);
    const reply = await session.api.ask<FunctionsReply>("/v1/functions");
    if (session.isJson) return printJson(session, reply);
    const { terminal } = session;
    if (reply.data.length === 0) return terminal.hint("no functions: connect a worker, see `eddy dev`");
    await terminal.write(new Table(FUNCTION_COLUMNS, terminal).render(reply.data.map(functionRow)));
  });
}

function functionRow({ id, triggers, waits, learned_waits, cancel_on, workers, ...more }: FunctionView): string[] {
  const names = (events: readonly { readonly event: string }[]): string => {
    const distinct = [...new Set(events.map(({ event }) => shown(event)))];
    return distinct.length === 0 ? "-" : distinct.join(", ");
  };
  const version = more.in_force ? String(more.version) : `${more.version} (not in force yet)`;
  const waitsFor = names([...waits, ...learned_waits]);
  return [shown(id), names(triggers), waitsFor, names(cancel_on), workers === null ? "?" : String(workers), version];
}

export function addClockCommand(program: Command, deps: ClientDeps): void {
  const clock = clientCommand(program, "clock", "show the clock of a dev namespace").action(
    async (options: CommonOptions) => {
      const session = sessionOf(options, deps);
      await printClock(session, await session.api.ask<ClockReply>("/dev/clock"));
    },
  );
  clientCommand(clock, "advance <duration>", "move it: 24h, 3d; what is due by then happens").action(
    async (by: string, _: CommonOptions, command: Command) => {
      checkDuration(by);
      // Options may stand before `advance` as well.
      const session = sessionOf(command.optsWithGlobals<CommonOptions>(), deps);
      // An advance counts each time and so is not repeated. Whether the engine is able to is asked first.
      await session.api.ask<ClockReply>("/dev/clock");
      const ask = { method: "POST", body: { by }, repeatable: false } as const;
      await printClock(session, await session.api.ask<ClockReply>("/dev/clock/advance", ask));
    },
  );
}

async function printClock(session: Session, reply: ClockReply): Promise<void> {
  if (session.isJson) return printJson(session, reply);
  const ahead = reply.advancedMs === 0 ? "" : ` (${durationShown(reply.advancedMs)} ahead)`;
  await session.terminal.write(`${timeShown(reply.now)}${ahead}\n`);
}

function checkDuration(by: string): void {
  try {
    parseDuration(by);
  } catch (error) {
    throw usageError((error as RangeError).message, error);
  }
}
