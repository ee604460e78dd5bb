/** What ends a command with one line on stderr that says what to do. */
import { EXIT, type ExitCode } from "../exit-codes.js";

export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** What can be seen to be wrong without asking anyone. */
export function usageError(message: string, cause?: unknown): CommandError {
  return new CommandError(EXIT.config, message, { cause });
}
