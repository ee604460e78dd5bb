/**
 * Files that may change while the engine runs: secrets that are rotated. They are read again and again rather than
 * watched: Kubernetes swaps a directory above them, which watchers of files miss. What cannot be read or used later is
 * told, and what was there before stays in force.
 */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Clock, Logger } from "@eddy/clients";
import { ConfigError } from "@eddy/clients/errors";

/** How long a change may stay unnoticed, in ms. */
export const LOOK_EVERY_MS = 5_000;

export interface WatchedFilesDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Files that belong together, as a certificate and its key. */
interface Watched {
  readonly paths: readonly string[];
  readonly use: (texts: readonly string[]) => void;
  texts: readonly string[];
  /** Said once, not every five seconds. */
  trouble: string | null;
}

export class WatchedFiles {
  readonly #deps: WatchedFilesDeps;
  readonly #watched: Watched[] = [];
  readonly #closing = new AbortController();
  #looking: Promise<void> | null = null;

  constructor(deps: WatchedFilesDeps) {
    this.#deps = deps;
  }

  /**
   * Reads the files now, and once it is started from time to time; `use` gets all texts whenever one has changed. @throws ConfigError
   * where one cannot be read now, and what `use` throws now; later both are logged.
   */
  watch(paths: readonly string[], use: (texts: readonly string[]) => void): void {
    const texts = paths.map(readNow);
    use(texts);
    this.#watched.push({ paths, use, texts, trouble: null });
  }

  /** Looks from now on. */
  start(): void {
    if (this.#watched.length > 0) this.#looking ??= this.#lookLoop();
  }

  /** Looks at all files now. */
  async look(): Promise<void> {
    for (const watched of this.#watched) await this.#lookAt(watched);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#looking;
  }

  async #lookLoop(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#deps.clock.sleep(LOOK_EVERY_MS, signal);
      if (!signal.aborted) await this.look();
    }
  }

  async #lookAt(watched: Watched): Promise<void> {
    const { logger } = this.#deps;
    const { paths, use } = watched;
    try {
      const texts = await Promise.all(paths.map((path) => readFile(path, "utf8")));
      if (texts.every((text, i) => text === watched.texts[i])) return;
      use(texts);
      watched.texts = texts;
      watched.trouble = null;
      logger.info({ paths }, "files have changed, and are in force");
    } catch (err) {
      const trouble = err instanceof Error ? err.message : String(err);
      if (trouble === watched.trouble) return;
      watched.trouble = trouble;
      logger.error({ err, paths }, "files have changed and cannot be used; what was there before stays in force");
    }
  }
}

/** @throws ConfigError */
function readNow(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new ConfigError(`the file ${path} cannot be read (${reason})`, { path, reason }, { cause });
  }
}
