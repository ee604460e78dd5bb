/**
 * Events that came before their route was known: each partition offers those that it is the home of to the partitions
 * of the values that their senders left out. Offers are for waits and cancel rules; they start nothing.
 */
import { canonAt, PAST_MS_MAX, partitionOf, type InboxRecordOf } from "@eddy/schemas";
import type { Draft } from "../draft.js";
import type { Moment } from "../inputs.js";
import { timeOf } from "../match/lookback.js";
import { eventOf } from "../match/payload.js";
import type { PastRange } from "../state/view.js";

type News = InboxRecordOf<"registered">["news"];

/** What is read again of the own inbox. Null: nothing is new. */
export function newsRange(news: News, { offset, rawMs }: Moment): PastRange | null {
  if (news.length === 0) return null;
  // Whatever run may yet wait for it: the route is new for those who began long ago, too.
  const fromRawMs = rawMs - PAST_MS_MAX;
  return { names: [...new Set(news.map(({ event }) => event))].sort(), fromRawMs, toOffset: offset };
}

export function offerPast(draft: Draft, news: News): void {
  const range = newsRange(news, draft.moment);
  if (range === null) return;
  const { partition, partitions } = draft.moment;
  const { version } = draft.functions();
  for (const past of draft.pastEvents(range)) {
    const { record } = past;
    if (record.origin !== null || record.home !== partition) continue; // Its home offers it.
    const atMs = timeOf(draft, past);
    for (const [to, values] of valuesByPartition(record, news, partitions)) {
      draft.append(to, (source) => ({
        ...record,
        values,
        version,
        origin: { as: "offer", isStale: true, atMs, offset: past.offset, source },
      }));
    }
  }
}

/** The values at new paths that the sender did not tell. */
function valuesByPartition(
  { name, id, payload, values }: InboxRecordOf<"event">,
  news: News,
  partitions: number,
): ReadonlyMap<number, [string, string][]> {
  const body = eventOf(payload);
  const found = new Map<number, [string, string][]>();
  for (const { event, path } of news) {
    if (event !== name || values.some(([known]) => known === path)) continue;
    const value = canonAt({ ...(body as object), id }, path);
    if (value === null) continue;
    const to = partitionOf(value, partitions);
    const there = found.get(to);
    if (there === undefined) found.set(to, [[path, value]]);
    else there.push([path, value]);
  }
  for (const there of found.values()) there.sort(([a], [b]) => (a < b ? -1 : 1));
  return found;
}
