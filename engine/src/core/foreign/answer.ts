import { partitionOfShard, shardOfRun, type ForeignAnswer } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import type { Row } from "../state/view.js";

/** Tells a guest's own partition. */
export function answer(draft: Draft, { base, runId }: Pick<Row<"guest">, "base" | "runId">, what: ForeignAnswer): void {
  const home = partitionOfShard(shardOfRun(base), draft.moment.partitions);
  draft.append(home, (source) => ({ kind: "answer", base, runId, answer: what, source }));
}
