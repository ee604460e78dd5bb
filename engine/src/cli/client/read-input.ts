/** What `eddy send` is given: JSON in an argument, a file or stdin; events in a file, as JSON or a line each. */
import { readFile } from "node:fs/promises";
import { readEvents, RequestError } from "@eddy/clients";
import type { EventInput } from "@eddy/schemas";
import type { Readable } from "node:stream";
import { usageError } from "./command-error.js";

/** Of a file or stdin, in bytes: it is held in memory. */
export const INPUT_BYTES_MAX = 256 * 1_048_576;

/** `-` is stdin, `@path` a file, all else JSON. @throws CommandError that names the option */
export async function readJsonOption(option: string, given: string, input: Readable): Promise<unknown> {
  const isFile = given.startsWith("@");
  const text = given === "-" ? await readAll(input) : isFile ? await readTextFile(given.slice(1)) : given;
  const from = given === "-" ? "stdin" : isFile ? given.slice(1) : null;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const where = from === null ? option : `${option}: ${from}`;
    const advice = from === null ? `; put it in quotes: ${option} '{"cart_id":"c1"}', or give a file: @file.json` : "";
    throw usageError(`${where}: not JSON: ${(error as SyntaxError).message}${advice}`, error);
  }
}

/**
 * Events of a file, or of stdin for `-`: one, an array, or one per line (NDJSON).
 * @throws CommandError that names the event or line at fault
 */
export async function readEventsFile(path: string, input: Readable): Promise<readonly EventInput[]> {
  const text = path === "-" ? await readAll(input) : await readTextFile(path);
  const name = path === "-" ? "stdin" : path;
  const whole = parseWhole(text);
  if (whole === undefined) return readLines(text, name);
  const given: readonly unknown[] = Array.isArray(whole) ? whole : [whole];
  if (given.length === 0) throw usageError(`${name}: expected at least one event, got an empty array`);
  return given.map((event, i) => readEvent(event, Array.isArray(whole) ? `${name}: event ${i + 1}` : name));
}

/** undefined: it is not one JSON value. */
function parseWhole(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // Then it is read line by line, and whatever is wrong is told with its line.
  }
}

function readLines(text: string, name: string): readonly EventInput[] {
  const events: EventInput[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const at = `${name}: line ${i + 1}`;
    let event: unknown;
    try {
      event = JSON.parse(line);
    } catch (error) {
      throw usageError(`${at}: not JSON: ${(error as SyntaxError).message}`, error);
    }
    events.push(readEvent(event, at));
  }
  if (events.length === 0) throw usageError(`${name}: expected events, got nothing`);
  return events;
}

/** @param at what to call it in an error. @throws CommandError that names the field */
export function readEvent(given: unknown, at: string | null): EventInput {
  try {
    if (Array.isArray(given)) throw new RequestError("INVALID_EVENT", "expected an event, got an array");
    const [event] = readEvents(given);
    return event as EventInput;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    throw usageError(at === null ? error.message : `${at}: ${error.message}`, error);
  }
}

async function readTextFile(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    checkSize(bytes.length, path);
    return bytes.toString("utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    const why = { ENOENT: "there is no such file", EISDIR: "it is a folder", EACCES: "no permission" }[code] ?? code;
    throw usageError(`cannot read ${path}: ${why}`, error);
  }
}

async function readAll(input: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk as Uint8Array | string);
    size += bytes.length;
    checkSize(size, "stdin");
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function checkSize(bytes: number, name: string): void {
  if (bytes > INPUT_BYTES_MAX) throw usageError(`${name}: expected at most ${INPUT_BYTES_MAX} bytes; split it`);
}
