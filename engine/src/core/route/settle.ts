/**
 * New routes settle: until every partition has said that all that was sent by older routes has been passed on, a wait by
 * them may resolve but not time out.
 */
import { LIMITS, PAST_MS_MAX, type InboxRecordOf } from "@eddy/schemas";
import { functionsOf, partitionRowOf, type Draft } from "../draft.js";
import type { Row, RowView } from "../state/view.js";
import { isListened } from "./functions.js";

interface Due {
  readonly event: string;
  readonly path: string;
  readonly deadlineMs: number;
}

/** May a wait that is due time out, or may an event from before its deadline be under way? */
export function isSettled(rows: Pick<RowView, "get">, { event, path, deadlineMs }: Due, nowMs: number): boolean {
  const functions = functionsOf(rows);
  if (!isListened(functions, { event, path })) {
    // It is being learned, or it is forgotten. Offers reach back no further than this, so none is waited for.
    return hasForgotten(functions) && nowMs >= deadlineMs + PAST_MS_MAX;
  }
  const { settling } = partitionRowOf(rows);
  return !settling.some(
    ({ routes }) => routes === null || routes.some((route) => route.event === event && route.path === path),
  );
}

/** What an app's former registrations routed by is remembered up to a bound. */
function hasForgotten({ apps }: Row<"functions">): boolean {
  return apps.some(({ retired }) => retired.length >= LIMITS.retiredWaitsMax);
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
