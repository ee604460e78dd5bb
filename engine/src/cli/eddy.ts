#!/usr/bin/env node
/** The command `eddy`. */
import { createRequire } from "node:module";
import { Command } from "commander";
import { addDevCommand } from "./dev-command.js";
import { addStartCommand } from "./start-command.js";
import { EXIT } from "./exit-codes.js";

const { version } = createRequire(import.meta.url)("../../package.json") as { readonly version: string };

const program = new Command("eddy")
  .description("Durable functions that wait for events")
  .version(version)
  // Help and version end with 0; whatever is wrong with the command line is a configuration problem.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? EXIT.ok : EXIT.config));
addDevCommand(program);
addStartCommand(program);
await program.parseAsync();
