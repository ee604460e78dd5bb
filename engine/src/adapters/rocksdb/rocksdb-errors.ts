/** RocksDB tells what went wrong in text alone, the same in both bindings: here it becomes a class to branch on. */
import { StateCorruptedError, StoreLockedError, TransientError } from "@eddy/clients/errors";

/** The lock file is taken, by this process or by another one. */
const LOCKED = /lock hold by current process|while lock file/i;
/** Nothing is wrong with the data: the machine lacks something. In the words of the system. */
const FULL = /no space left on device|disk quota exceeded|file too large/i;
const REFUSED = /too many open files|permission denied|read-only file system|cannot allocate memory/i;
const DAMAGED = /corrupt|checksum|magic number|truncated/i;

/** @returns what a failed open of `directory` means. */
export function openError(cause: unknown, directory: string): Error {
  const text = textOf(cause);
  const fields = { directory };
  if (LOCKED.test(text)) {
    return new StoreLockedError(`the data directory ${directory} is in use, here or in another process`, fields, {
      cause,
    });
  }
  const problem = machineProblem(text);
  if (problem !== null) return new TransientError(`cannot open ${directory}: ${problem}`, fields, { cause });
  // What else RocksDB refuses at open is a file missing, cut, or from a newer version.
  return new StateCorruptedError(`the data in ${directory} is damaged: ${text}`, fields, { cause });
}

/** @returns what a failed call on an open database means. */
export function callError(cause: unknown, directory: string): Error {
  const text = textOf(cause);
  const message = `${directory}: ${machineProblem(text) ?? text}`;
  const corrupted = DAMAGED.test(text);
  return new (corrupted ? StateCorruptedError : TransientError)(message, { directory }, { cause });
}

/** @returns what the machine lacks, and what to do, in few words; null where RocksDB does not blame the machine. */
function machineProblem(text: string): string | null {
  const full = FULL.exec(text)?.[0];
  if (full !== undefined) return `the disk is full (${full.toLowerCase()}): make room there`;
  return REFUSED.exec(text)?.[0].toLowerCase() ?? null;
}

/** All messages of an error, its causes and its parts: the binding wraps RocksDB's own words. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts =
    error instanceof AggregateError ? (error.errors as unknown[]).filter((part) => part instanceof Error) : [];
  const inner = error.cause === undefined ? parts : [...parts, error.cause];
  return [error.message, ...inner.map(textOf)].join(": ");
}
