/** What commands that talk to a gateway have in common: where it is, how long to wait, JSON or text. */
import { readFileSync } from "node:fs";
import type { Clock } from "@eddy/clients";
import { parseDuration } from "@eddy/schemas";
import { InvalidArgumentError, Option, type Command } from "commander";
import { DEFAULT_BASE_URL, type ClientEnvironment } from "../../config/client-config.js";
import { CLIENT_EXIT_CODES_HELP } from "../exit-codes.js";
import { usageError } from "./command-error.js";
import { GatewayApi } from "./gateway-api.js";
import type { Terminal } from "./terminal.js";
import { durationShown } from "./text.js";

export interface ClientDeps {
  readonly terminal: Terminal;
  readonly environment: ClientEnvironment;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** Of an event that has no id of its own. */
  readonly makeId: () => string;
}

export interface CommonOptions {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly json?: true;
  readonly timeout: number;
}

export interface Session {
  readonly api: GatewayApi;
  readonly terminal: Terminal;
  readonly isJson: boolean;
}

const TIMEOUT_MS = 30_000;

/** Adds a command with the common options. @param help more than its options say */
export function clientCommand(parent: Command, nameAndArguments: string, description: string, help = ""): Command {
  return parent
    .command(nameAndArguments)
    .description(description)
    .option("--url <url>", `where the engine is (default: EDDY_BASE_URL, else ${DEFAULT_BASE_URL})`)
    .option("--token-file <file>", "file of the token to show, where the engine asks for one (default: EDDY_TOKEN)")
    .option("--json", "print JSON, as the HTTP API has it")
    .addOption(
      new Option("--timeout <duration>", "how long to wait for an answer")
        .argParser(durationOption)
        .default(TIMEOUT_MS, durationShown(TIMEOUT_MS)),
    )
    .addHelpText("after", help === "" ? CLIENT_EXIT_CODES_HELP : `\n${help}\n${CLIENT_EXIT_CODES_HELP}`);
}

/** @throws CommandError for a URL that is none, or a token file that cannot be read */
export function sessionOf({ url, tokenFile, json, timeout }: CommonOptions, deps: ClientDeps): Session {
  const { terminal, environment, fetch, clock } = deps;
  const [given, from] = url === undefined ? [environment.baseUrl, "EDDY_BASE_URL"] : [url, "--url"];
  const onWait = (why: string): void => terminal.hint(terminal.colors.dim(`waiting: ${why}`));
  const api = new GatewayApi({
    url: given === null ? DEFAULT_BASE_URL : checkUrl(given, from),
    token: tokenFile === undefined ? environment.token : readToken(tokenFile),
    timeoutMs: timeout,
    fetch,
    clock,
    onWait,
  });
  return { api, terminal, isJson: json === true };
}

/** Not an option by itself: other users of the machine can see those. */
function readToken(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw usageError(`--token-file: ${path} cannot be read (${reason})`);
  }
}

function checkUrl(given: string, from: string): string {
  const url = URL.canParse(given) ? new URL(given) : null;
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) {
    return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  }
  throw usageError(`${from}: expected an http or https URL such as ${DEFAULT_BASE_URL}, got ${JSON.stringify(given)}`);
}

/** @returns ms */
export function durationOption(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError((error as RangeError).message);
  }
}

/** A line of JSON on stdout. */
export function printJson({ terminal }: Session, value: unknown): Promise<void> {
  return terminal.write(`${JSON.stringify(value)}\n`);
}
