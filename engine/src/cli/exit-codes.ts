/** How `eddy` ends. Documented in docs/operate/exit-codes.md. */
import { EddyError, type ErrorCode } from "@eddy/clients/errors";

export const EXIT = {
  ok: 0,
  /** A bug, or something unforeseen. */
  failed: 1,
  /** Options, environment or file; a data directory or namespace made with other settings; what Kafka refuses. */
  config: 2,
  /** The address to listen on is taken. */
  address: 3,
  /** The data directory is used by another process, cannot be written, is full, or its log is damaged. */
  dataDir: 4,
  /** Nothing answers at the URL, or something that is no gateway of Eddy. */
  unreachable: 5,
  /** The gateway refused what was asked: 4xx. */
  refused: 6,
  /** The gateway could not serve it in time: 503, or no answer at all. */
  unavailable: 7,
  /** The run that was followed Failed, or was Cancelled. */
  notCompleted: 8,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_CODE: Partial<Record<ErrorCode, ExitCode>> = {
  CONFIG_INVALID: EXIT.config,
  ADDRESS_UNUSABLE: EXIT.address,
  DATA_DIR_UNUSABLE: EXIT.dataDir,
  STORE_LOCKED: EXIT.dataDir,
};

export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof EddyError ? (BY_CODE[error.code] ?? EXIT.failed) : EXIT.failed;
}

export const EXIT_CODES_HELP = `
Exit codes: ${EXIT.ok} stopped by a signal, ${EXIT.failed} failed, ${EXIT.config} configuration,
  ${EXIT.address} address in use, ${EXIT.dataDir} data directory locked or unusable.`;

export const CLIENT_EXIT_CODES_HELP = `
Exit codes: ${EXIT.ok} done, ${EXIT.failed} failed, ${EXIT.config} wrong options or input,
  ${EXIT.unreachable} no engine there, ${EXIT.refused} refused, ${EXIT.unavailable} not possible in time.`;
