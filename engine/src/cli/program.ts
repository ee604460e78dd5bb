/** The command line of `eddy`: all commands, and how what goes wrong becomes one line and an exit code. */
import { createRequire } from "node:module";
import tab from "@bomb.sh/tab/commander";
import { Command, CommanderError } from "commander";
import { addDevCommand } from "./dev-command.js";
import { addStartCommand } from "./start-command.js";
import { addTokenCommand } from "./token-command.js";
import { addTopicsCommand } from "./topics-command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import type { ClientDeps } from "./client/client-command.js";
import { CommandError } from "./client/command-error.js";
import { addClockCommand, addEventsCommand, addFunctionsCommand } from "./client/lookup-commands.js";
import { addCancelCommand, addRunCommand } from "./client/run-command.js";
import { addRunsCommand } from "./client/runs-command.js";
import { addSendCommand } from "./client/send-command.js";
import { OutputClosed } from "./client/terminal.js";

const { version } = createRequire(import.meta.url)("../../package.json") as { readonly version: string };

export type CommandLineDeps = ClientDeps;

/** @param end told the exit code of a command that did its work and does not end with 0 */
export function makeProgram(deps: CommandLineDeps, end: (code: ExitCode) => void): Command {
  const { terminal } = deps;
  const program = new Command("eddy")
    .description("Durable functions that wait for events")
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.write(text).catch(ignoreClosed),
      writeErr: (text) => terminal.tell(text),
      getOutHelpWidth: () => terminal.columns ?? HELP_COLUMNS,
      getErrHelpWidth: () => terminal.columns ?? HELP_COLUMNS,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text) => void terminal.complain(`${oneLine(text.replace(/^error: /, ""))}; see --help`),
    });
  program.commandsGroup("Engine:");
  addDevCommand(program);
  addStartCommand(program);
  addTopicsCommand(program, deps);
  addTokenCommand(program, deps);
  program.commandsGroup("Ask an engine:");
  addSendCommand(program, deps);
  addEventsCommand(program, deps);
  addRunsCommand(program, deps);
  addRunCommand(program, deps, end);
  addCancelCommand(program, deps);
  addFunctionsCommand(program, deps);
  addClockCommand(program, deps);
  program.commandsGroup("Shell:");
  // Reads the commands, options and arguments from commander's own definitions, for bash, zsh and fish. Young (0.0.x, so
  // that `^` pins it), but released every month; omelette and tabtab (kept as @pnpm/tabtab) want each word written by
  // hand, and change the user's shell files. Should it be given up: nothing but this line knows it.
  tab(program, { completionCommandName: "completion" });
  return program;
}
/** Of help that goes into a file. */
const HELP_COLUMNS = 100;

/** @param args without node and script. @returns how the process is to end */
export async function runCommandLine(args: readonly string[], deps: CommandLineDeps): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = makeProgram(deps, (code) => (exitCode = code));
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    // Told already; help and version end with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.config;
    // As `head` ends what it reads from.
    if (error instanceof OutputClosed) return EXIT.ok;
    if (error instanceof CommandError) {
      await deps.terminal.complain(oneLine(error.message));
      return error.exitCode;
    }
    await deps.terminal.complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return EXIT.failed;
  }
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, " ");

function ignoreClosed(error: unknown): void {
  if (!(error instanceof OutputClosed)) throw error;
}
