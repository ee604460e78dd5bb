/** Says that an invocation will not be worked on by whoever has it: the owner of the run sends it again, whole. */
import { encodeInbox, partitionOfShard, shardOfRun } from "@eddy/schemas";
import type { InboxLanes } from "../send/inbox-lanes.js";

/**
 * Resolves when the inbox of the run's partition has it. Harmless where the invocation is over: then it is dropped. No
 * step of it may be running, or it runs twice. Without it the invocation comes again when its lease ends, a minute later.
 * @throws as `lanes.append`
 */
export function decline(lanes: InboxLanes, of: { readonly runId: string; readonly invocation: number }): Promise<void> {
  const { runId, invocation } = of;
  const value = encodeInbox({ kind: "declined", runId, invocation });
  return lanes.append(partitionOfShard(shardOfRun(runId), lanes.partitions), [{ key: runId, value }]);
}
