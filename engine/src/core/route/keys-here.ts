import { ID_PATH, partitionOf, routeKeyOf, type InboxRecordOf, type MatchValues } from "@eddy/schemas";
import type { Moment } from "../inputs.js";

export interface KeyHere {
  readonly path: string;
  readonly value: string;
  readonly routeKey: string;
}

/** The route keys of an event that live on this partition, in the order of its values. */
export function keysHere(name: string, values: MatchValues, moment: Moment): readonly KeyHere[] {
  const keys: KeyHere[] = [];
  for (const [path, value] of values) {
    if (partitionOf(value, moment.partitions) !== moment.partition) continue;
    keys.push({ path, value, routeKey: routeKeyOf(name, path, value) });
  }
  return keys;
}

/**
 * What makes two copies the same event here: its id with each match value of this partition. A second event with the
 * same id and other match values is another event. Without match values here, the id alone counts.
 */
export function idKeysOf(event: InboxRecordOf<"event">, keys: readonly KeyHere[]): readonly string[] {
  const matched = keys.filter((key) => key.path !== ID_PATH);
  return matched.length === 0 ? [event.id] : matched.map((key) => `${key.routeKey}|${event.id}`);
}
