/** `eddy send`: one event from the command line, or many from a file. */
import type { EventInput, SendEventsReply } from "@eddy/schemas";
import type { Command } from "commander";
import { DEFAULT_EVENT_KEY } from "../../config/client-config.js";
import { GENERATED_IDS_HEADER } from "../../gateway/read-events.js";
import {
  clientCommand,
  printJson,
  sessionOf,
  type ClientDeps,
  type CommonOptions,
  type Session,
} from "./client-command.js";
import { CommandError, usageError } from "./command-error.js";
import { readEvent, readEventsFile, readJsonOption } from "./read-input.js";
import { shown } from "./text.js";
import { timeOption } from "./time-option.js";

interface SendOptions extends CommonOptions {
  readonly data?: string;
  readonly user?: string;
  readonly id?: string;
  readonly ts?: string;
  readonly file?: string;
  readonly key?: string;
}

/** Of one request. */
const BATCH_EVENTS_MAX = 1_000;
const BATCH_CHARS_MAX = 4 * 1_048_576;
/** Servers refuse headers over 16 KiB; without this one, ids are remembered longer, which is no harm. */
const HEADER_CHARS_MAX = 8_000;

const HELP = `--data and --user take JSON, @file.json, or - for stdin. A file (- for stdin) has
one event, an array, or one per line.

  eddy send cart/purchased --data '{"cart_id":"c1"}'
  eddy send --file events.ndjson`;

export function addSendCommand(program: Command, deps: ClientDeps): void {
  clientCommand(program, "send [name]", "send an event, or the events of a file; prints their ids", HELP)
    .option("--data <json>", "what the event says: an object")
    .option("--user <json>", "whom it is about: an object")
    .option("--id <id>", "makes it harmless to send it again within 24 hours")
    .option("--ts <time>", "when it happened: ISO 8601, or ms since 1970; in the future it delays what it starts")
    .option("--file <file>", "events as {name, data, ...}, JSON or a line each")
    .option("--key <key>", `event key (default: EDDY_EVENT_KEY, else ${DEFAULT_EVENT_KEY})`)
    .action((name: string | undefined, options: SendOptions) => send(name, options, deps));
}

async function send(name: string | undefined, options: SendOptions, deps: ClientDeps): Promise<void> {
  const session = sessionOf(options, deps);
  const key = options.key ?? deps.environment.eventKey ?? DEFAULT_EVENT_KEY;
  const events = await eventsOf(name, options, session);
  const ids = await new Sending(session, `/e/${encodeURIComponent(key)}`, deps.makeId).send(events);
  if (session.isJson) return printJson(session, { ids, status: 200 } satisfies SendEventsReply);
  await session.terminal.write(ids.map((id) => `${shown(id)}\n`).join(""));
  if (ids.length === 1) session.terminal.hint(session.terminal.colors.dim(`what it starts: eddy events ${ids[0]}`));
}

/** @throws CommandError */
async function eventsOf(
  name: string | undefined,
  { file, ...options }: SendOptions,
  { terminal }: Session,
): Promise<readonly EventInput[]> {
  const { data, user, id, ts } = options;
  if (file !== undefined) {
    const other =
      name === undefined ? (["data", "user", "id", "ts"] as const).find((o) => options[o] !== undefined) : "";
    if (other === undefined) return readEventsFile(file, terminal.in);
    throw usageError(`expected ${other === "" ? "a name" : `--${other}`} or --file, not both: a file has whole events`);
  }
  if (name === undefined) throw usageError(`expected the event's name, or --file: eddy send cart/purchased`);
  if (data === "-" && user === "-") throw usageError("--data and --user cannot both be read from stdin");
  const event = {
    name,
    ...(id === undefined ? {} : { id }),
    ...(ts === undefined ? {} : { ts: timeOption(ts, "--ts") }),
    ...(data === undefined ? {} : { data: await readJsonOption("--data", data, terminal.in) }),
    ...(user === undefined ? {} : { user: await readJsonOption("--user", user, terminal.in) }),
  };
  return [readEvent(event, null)];
}

/** Sends in parts. Every event has an id before it leaves, so that a part may be sent again. */
class Sending {
  readonly #session: Session;
  readonly #path: string;
  readonly #makeId: () => string;

  constructor(session: Session, path: string, makeId: () => string) {
    this.#session = session;
    this.#path = path;
    this.#makeId = makeId;
  }

  /** @returns ids, in order. @throws CommandError that says how many are sent already */
  async send(events: readonly EventInput[]): Promise<string[]> {
    const ids: string[] = [];
    for (const batch of batchesOf(events)) {
      try {
        ids.push(...(await this.#sendBatch(batch)));
      } catch (error) {
        if (!(error instanceof CommandError) || events.length === 1) throw error;
        const [from, to] = [ids.length + 1, ids.length + batch.length];
        const sent = `of ${events.length} events, ${ids.length} are sent; ${from} to ${to} failed`;
        throw new CommandError(error.exitCode, `${sent}: ${error.message}`, { cause: error });
      }
    }
    return ids;
  }

  async #sendBatch(batch: readonly EventInput[]): Promise<readonly string[]> {
    const generated = batch.flatMap(({ id }, i) => (id === undefined ? [i] : []));
    const mark = generated.length === batch.length ? "all" : JSON.stringify(generated);
    const isMarked = generated.length > 0 && mark.length <= HEADER_CHARS_MAX;
    const headers = isMarked ? { [GENERATED_IDS_HEADER]: mark } : {};
    const body = batch.map((event) => ({ ...event, id: event.id ?? this.#makeId() }));
    const ask = { method: "POST", body: body.length === 1 ? body[0] : body, headers } as const;
    return (await this.#session.api.ask<SendEventsReply>(this.#path, ask)).ids;
  }
}

/** Each of at least one event. */
function* batchesOf(events: readonly EventInput[]): Iterable<readonly EventInput[]> {
  let batch: EventInput[] = [];
  let chars = 0;
  for (const event of events) {
    const size = JSON.stringify(event).length;
    if (batch.length > 0 && (batch.length === BATCH_EVENTS_MAX || chars + size > BATCH_CHARS_MAX)) {
      yield batch;
      batch = [];
      chars = 0;
    }
    batch.push(event);
    chars += size;
  }
  if (batch.length > 0) yield batch;
}
