/** Says that an invocation will not be worked on by whoever has it: the owner of the run sends it again, whole. */
import { encodeInbox, partitionOfShard, shardOfRun } from "@eddy/schemas";
import type { Logger } from "../ports/logger.js";
import type { InboxLanes } from "../send/inbox-lanes.js";

export interface Declined {
  readonly runId: string;
  readonly invocation: number;
}

/**
 * Resolves when the inbox of the run's partition has it. Harmless where the invocation is over: then it is dropped. No
 * step of it may be running, or it runs twice. Without it the invocation comes again when its lease ends, a minute later.
 * @throws as `lanes.append`
 */
export function decline(lanes: InboxLanes, { runId, invocation }: Declined): Promise<void> {
  const value = encodeInbox({ kind: "declined", runId, invocation });
  return lanes.append(partitionOfShard(shardOfRun(runId), lanes.partitions), [{ key: runId, value }]);
}

/** Gives invocations of one app back without anybody waiting for it, and knows when the log has them. */
export class GivenBack {
  readonly #deps: { readonly app: string; readonly lanes: InboxLanes; readonly logger: Logger };
  readonly #underWay = new Set<Promise<void>>();

  constructor(deps: { readonly app: string; readonly lanes: InboxLanes; readonly logger: Logger }) {
    this.#deps = deps;
  }

  /** As `decline`. Where the log does not take it, that is logged: the run goes on when its lease ends. */
  giveBack({ runId, invocation }: Declined): void {
    const { app, lanes, logger } = this.#deps;
    const writing = decline(lanes, { runId, invocation })
      .catch((err: unknown) =>
        logger.warn({ err, app, runId, invocation }, "a run that was given back goes on only when its lease ends"),
      )
      .finally(() => this.#underWay.delete(writing));
    this.#underWay.add(writing);
  }

  /** Resolves when the log has all that was given back so far, or will not take it. */
  async written(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}
