/**
 * Frames of a worker whose token is bound to apps. It may speak of its app's runs alone: of those that were handed out
 * here, and, since a worker may have got its runs from another engine before, of those that the engine knows to be the
 * app's. Until that is known its frames wait, in order; whoever speaks of another app's run is cut off.
 */
import { isRunId, type WorkerFrame } from "@eddy/schemas";
import type { Logger } from "../ports/logger.js";
import { CLOSE_CODES, type WorkerLink } from "./worker-link.js";

/** What a worker's token allows. */
export interface Bounds {
  readonly apps: ReadonlySet<string>;
  /** null: there is no such run. Rejects where that cannot be told now. */
  readonly appOfRun: (runId: string) => Promise<string | null>;
}

export interface BoundFramesDeps {
  readonly app: string;
  readonly appOfRun: Bounds["appOfRun"];
  /** Was the run handed out here, or looked up before? */
  readonly isKnown: (runId: string) => boolean;
  /** A worker cannot have more runs than this. */
  readonly slots: number;
  readonly link: WorkerLink;
  readonly logger: Logger;
  readonly receive: (frame: WorkerFrame) => void;
}

/** Frames that wait; a worker has a report for each of its runs and little else. */
const WAITING_MAX = 1_000;
/** Look-ups at once, for one worker. */
const LOOKUPS_MAX = 16;

export class BoundFrames {
  readonly #deps: BoundFramesDeps;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(deps: BoundFramesDeps) {
    this.#deps = deps;
  }

  receive(frame: WorkerFrame): void {
    const { receive, slots } = this.#deps;
    if (this.#isOver) return;
    const unknown = this.#unknownIn(frame);
    if (this.#waiting === 0 && unknown.length === 0) return receive(frame);
    if (this.#waiting >= WAITING_MAX || unknown.length > slots) {
      return this.#cut("brokenFrame", "it speaks of more runs than it can have");
    }
    this.#waiting += 1;
    this.#last = this.#last.then(() => this.#receiveChecked(frame)).finally(() => (this.#waiting -= 1));
  }

  async #receiveChecked(frame: WorkerFrame): Promise<void> {
    const { app, appOfRun, logger, receive } = this.#deps;
    const unknown = this.#unknownIn(frame);
    try {
      for (let i = 0; i < unknown.length && !this.#isOver; i += LOOKUPS_MAX) {
        const runs = unknown.slice(i, i + LOOKUPS_MAX);
        const apps = await Promise.all(runs.map((runId) => appOfRun(runId)));
        const at = apps.findIndex((found) => found !== app);
        if (at < 0) continue;
        logger.warn({ app, runId: runs[at], frame: frame.kind }, "a worker spoke of a run that is not its app's");
        return this.#cut("refused", `the run ${runs[at]} is not of this app`);
      }
    } catch (err) {
      logger.info({ err, app }, "it cannot be told now whose runs a worker has");
      return this.#cut("tryAgain", "it cannot be told now whose these runs are; connect again");
    }
    if (!this.#isOver) receive(frame);
  }

  /** Ids that are none are told to the session, which breaks off. */
  #unknownIn(frame: WorkerFrame): readonly string[] {
    return runsIn(frame).filter((runId) => isRunId(runId) && !this.#deps.isKnown(runId));
  }

  #cut(code: keyof typeof CLOSE_CODES, reason: string): void {
    this.#isOver = true;
    this.#deps.link.close(CLOSE_CODES[code], reason);
  }
}

/** Of frames that change something for the run, or tell something of it; the others touch what a worker has alone. */
function runsIn(frame: WorkerFrame): readonly string[] {
  if (frame.kind === "report") return [frame.report.runId];
  if (frame.kind === "needState") return [frame.runId];
  return frame.kind === "heartbeat" ? frame.running.map(({ runId }) => runId) : [];
}
