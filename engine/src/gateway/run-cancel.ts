/** Cancels runs: a record in the inbox of the run's partition, which decides by its place in the log what ends first. */
import { encodeInbox, type RunSummary } from "@eddy/schemas";
import { type Clock, type InboxLanes, RequestError } from "@eddy/clients";
import { EddyError } from "@eddy/clients/errors";
import { partitionOfRun } from "../history/history-lookup.js";
import type { RoutedLookup } from "./routed-lookup.js";

export interface RunCancelDeps {
  readonly lanes: Pick<InboxLanes, "append" | "partitions">;
  readonly lookup: Pick<RoutedLookup, "runById">;
  readonly clock: Clock;
}

/** How long an answer waits for the run to end, in ms; then it says that it is asked for. */
export const CANCEL_MS_MAX = 2_000;
/** Pause between two looks, in ms: it doubles. */
const LOOK_AGAIN_MS = { first: 5, max: 100 } as const;

export class RunCancel {
  readonly #deps: RunCancelDeps;

  constructor(deps: RunCancelDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when the run is Cancelled, or still Running while the request to cancel it is in the log: it will be. A run
   * that is Cancelled already is no error.
   * @throws RequestError RUN_NOT_FOUND, RUN_FINISHED where it ends by itself first; TransientError where it cannot be
   *   looked up or the log does not take the request: to ask again is harmless.
   */
  async cancel(runId: string, reason: string): Promise<RunSummary> {
    const { lanes, lookup } = this.#deps;
    const run = await lookup.runById(runId);
    const partition = partitionOfRun(runId, lanes.partitions);
    if (run === null || partition === null) {
      throw new RequestError("RUN_NOT_FOUND", `there is no run ${runId}`, "id");
    }
    if (run.status !== "Running") return cancelled(run);
    await lanes.append(partition, [{ key: runId, value: encodeInbox({ kind: "cancel", runId, reason }) }]);
    return cancelled(await this.#ended(run));
  }

  /** The run once it has ended, or as it was last seen. */
  async #ended(run: RunSummary): Promise<RunSummary> {
    const { clock } = this.#deps;
    const giveUpAtMs = clock.nowMs() + CANCEL_MS_MAX;
    let seen = run;
    for (let pauseMs: number = LOOK_AGAIN_MS.first; ; pauseMs = Math.min(pauseMs * 2, LOOK_AGAIN_MS.max)) {
      seen = (await this.#look(run.run_id)) ?? seen;
      if (seen.status !== "Running" || clock.nowMs() >= giveUpAtMs) return seen;
      await clock.sleep(pauseMs);
    }
  }

  /** null: nobody can tell now. The request is in the log all the same. */
  async #look(runId: string): Promise<RunSummary | null> {
    try {
      return await this.#deps.lookup.runById(runId);
    } catch (error) {
      if (error instanceof EddyError && error.retriable) return null;
      throw error;
    }
  }
}

/** @throws RequestError RUN_FINISHED */
function cancelled(run: RunSummary): RunSummary {
  if (run.status === "Running" || run.status === "Cancelled") return run;
  throw new RequestError("RUN_FINISHED", `run ${run.run_id} is ${run.status} already`, "id");
}
