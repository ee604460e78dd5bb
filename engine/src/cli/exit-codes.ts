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
  /** The data directory is used by another process, or cannot be written. */
  dataDir: 4,
} as const;

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  CONFIG_INVALID: EXIT.config,
  ADDRESS_UNUSABLE: EXIT.address,
  DATA_DIR_UNUSABLE: EXIT.dataDir,
  STORE_LOCKED: EXIT.dataDir,
};

export function exitCodeOf(error: unknown): number {
  return error instanceof EddyError ? (BY_CODE[error.code] ?? EXIT.failed) : EXIT.failed;
}

export const EXIT_CODES_HELP = `
Exit codes: ${EXIT.ok} stopped by a signal, ${EXIT.failed} failed, ${EXIT.config} configuration,
  ${EXIT.address} address in use, ${EXIT.dataDir} data directory locked or unusable.`;
