/**
 * New routes settle: until every partition has said that all that was sent by older routes has been passed on, a wait by
 * them may resolve but not time out.
 */
import type { InboxRecordOf } from "@eddy/schemas";
import { functionsOf, partitionRowOf, type Draft } from "../draft.js";
import type { RowView } from "../state/view.js";
import { isRouted } from "./functions.js";

export function isSettled(rows: Pick<RowView, "get">, { event, path }: { event: string; path: string }): boolean {
  if (!isRouted(functionsOf(rows), { event, path })) return false;
  const { settling } = partitionRowOf(rows);
  return !settling.some(
    ({ routes }) => routes === null || routes.some((route) => route.event === event && route.path === path),
  );
}

/** No sender sends by older routes any more; what any has sent has been repeated, because it came before this. */
export function onSettleDue(draft: Draft, version: number): void {
  const { partitions } = draft.moment;
  const entry = draft.partitionRow().settling.find((known) => known.version === version);
  if (entry === undefined || entry.sendAtMs === null) {
    return draft.reject("STALE_TIMER", `routes of registration ${version} are settled`);
  }
  draft.emit({ kind: "SettledSent", version });
  for (let to = 0; to < partitions; to++) draft.append(to, (source) => ({ kind: "settled", version, source }));
}

export function onSettled(draft: Draft, { version, source }: InboxRecordOf<"settled">): void {
  const isOpen = draft.partitionRow().settling.some((entry) => entry.version === version);
  if (!isOpen && version <= draft.functions().version) {
    return draft.reject("STALE_REGISTRATION", `partition ${source.partition} has settled ${version} once more`);
  }
  draft.emit({ kind: "SettledHeard", version, partitions: draft.moment.partitions });
}
