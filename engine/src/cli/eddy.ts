#!/usr/bin/env node
/** The command `eddy`. */
import { SystemClock } from "@eddy/clients";
import { ulid } from "ulid";
import { readClientEnvironment } from "../config/client-config.js";
import { Terminal } from "./client/terminal.js";
import { runCommandLine } from "./program.js";

const environment = readClientEnvironment();
const streams = { in: process.stdin, out: process.stdout, err: process.stderr };
const code = await runCommandLine(process.argv.slice(2), {
  terminal: new Terminal(streams, environment.plain),
  environment,
  fetch,
  clock: new SystemClock(),
  makeId: ulid,
});
process.exit(code);
