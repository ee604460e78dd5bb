/** Sending an event as the engine's senders do: one copy per partition that must see it, the home copy first. */
import {
  encodeInbox,
  matchValuesOf,
  NO_ROUTE,
  partitionsOf,
  routesOf,
  type InboxRecordOf,
  type RegisteredApp,
} from "@eddy/schemas";
import type { Topics } from "@eddy/clients";
import type { SimLog } from "../ports/sim-log.js";
import type { Facts } from "./facts.js";

export interface SimEvent {
  readonly id: string;
  readonly idFrom: "user" | "generated";
  readonly name: string;
  readonly ts: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Copies {
  readonly record: InboxRecordOf<"event">;
  readonly partitions: readonly number[];
}

const utf8 = new TextEncoder();

export function copiesOf(event: SimEvent, apps: readonly RegisteredApp[], partitions: number): Copies {
  const { id, idFrom, name, ts, data } = event;
  const body = { name, id, ts, data };
  const route = routesOf(apps).get(name) ?? NO_ROUTE;
  const values = matchValuesOf(body, route);
  const record: InboxRecordOf<"event"> = {
    ...{ kind: "event", id, idFrom, name, tsMs: ts },
    values: values.map(([path, value]) => [path, value]),
    payload: utf8.encode(JSON.stringify(body)),
  };
  return { record, partitions: partitionsOf(values, route, partitions) };
}

export interface SendDeps {
  readonly log: SimLog;
  readonly topics: Topics;
  readonly partitions: number;
  readonly apps: () => readonly RegisteredApp[];
  readonly facts: Facts;
}

/** Resolves when all copies are in their logs. @throws TransientError: some may be, some not */
export async function sendEvent(deps: SendDeps, event: SimEvent): Promise<void> {
  const { record, partitions } = copiesOf(event, deps.apps(), deps.partitions);
  const value = encodeInbox(record);
  const [home, ...others] = partitions as [number, ...number[]];
  await deps.log.append(deps.topics.inbox, home, [{ key: null, value }]);
  await Promise.all(others.map((p) => deps.log.append(deps.topics.inbox, p, [{ key: null, value }])));
  deps.facts.acknowledged.push({ eventId: event.id, partitions });
}
