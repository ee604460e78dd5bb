/** `eddy token`: makes tokens. Asks nobody: what it prints goes into the engines' tokens file. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { ConfigError } from "@eddy/clients/errors";
import { lineOf, makeToken, SCOPES, type Scope } from "../access/index.js";
import type { ClientDeps } from "./client/client-command.js";
import { usageError } from "./client/command-error.js";

const HELP = `
Prints the token, and the line for the engines' tokens file, which has its hash alone: keep the token, it is not shown
again. Engines read the file again when it changes. To rotate a token add a line, give the new token to those who use
it, then take the old line out.

  send     events: POST /e/<key>, where the key may be the token
  work     connect workers; with --app those of these apps alone
  read     events, runs, functions, the clock
  operate  cancel runs, move the clock of a dev namespace
  peer     what engines ask each other

  eddy token create --name shop-workers --scope work --scope send --app shop

Exit codes: 0 done, 1 failed, 2 wrong options.`;

interface CreateOptions {
  readonly name: string;
  readonly scope: readonly Scope[];
  readonly app: readonly string[];
  readonly json?: true;
}

export function addTokenCommand(program: Command, { terminal }: ClientDeps): void {
  const scope = new Option("--scope <scope>", `what it allows, may be repeated: ${SCOPES.join(", ")}`)
    .argParser(scopeOption)
    .makeOptionMandatory();
  program
    .command("token")
    .description("tokens for gateways that ask for them")
    .command("create")
    .description("make a token")
    .requiredOption("--name <name>", "of the token, for logs and for you")
    .addOption(scope)
    .option("--app <name>", "only workers of this app; may be repeated; with work and send alone", collect, [])
    .option("--json", "print JSON: token, line")
    .addHelpText("after", HELP)
    .action(async ({ name, scope: scopes, app: apps, json }: CreateOptions) => {
      const token = makeToken();
      const line = lineFor(token, { name, scopes, apps });
      if (json === true) return terminal.write(`${JSON.stringify({ token, line })}\n`);
      await terminal.write(`${token}\n${line}\n`);
      terminal.hint(terminal.colors.dim("first the token, then the line for the tokens file"));
    });
}

/** @throws CommandError */
function lineFor(token: string, allowed: Parameters<typeof lineOf>[1]): string {
  try {
    return lineOf(token, allowed);
  } catch (error) {
    if (error instanceof ConfigError) throw usageError(error.message);
    throw error;
  }
}

function scopeOption(given: string, before: readonly Scope[] | undefined): readonly Scope[] {
  const found = SCOPES.find((scope) => scope === given);
  if (found === undefined) throw new InvalidArgumentError(`expected one of ${SCOPES.join(", ")}.`);
  return [...new Set([...(before ?? []), found])];
}

const collect = (given: string, before: readonly string[]): readonly string[] => [...before, given];
