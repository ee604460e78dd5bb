/**
 * Sending an event as the real sender does: one copy per partition that must see it, the home copy first, by a view of the
 * registry that may be a while old. Who takes longer than its patience does not say that the event was sent, unless the
 * routes are still those of its view.
 */
import { encodeInbox, matchValuesOf, partitionsOf, type InboxRecordOf } from "@eddy/schemas";
import { TransientError } from "@eddy/clients/errors";
import type { Topics } from "@eddy/clients";
import type { SimLog } from "../ports/sim-log.js";
import type { Prng } from "../prng.js";
import type { Facts } from "./facts.js";
import type { RegistryViews, View } from "./registry-views.js";

export interface SimEvent {
  readonly id: string;
  readonly idFrom: "user" | "generated";
  readonly name: string;
  readonly ts: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface SenderHabits {
  /** How old the view of the registry may be, in ms. */
  readonly staleMsMax: number;
  /** From the look at the registry to the answer, in ms, beside the age of the view. */
  readonly patienceMs: number;
  /** Chance that a user's process dies between the home copy and the others. */
  readonly crashes: number;
  /** Chance that an event is sent once more after all went well: its answer was lost. */
  readonly repeats: number;
}

export interface Copies {
  readonly record: InboxRecordOf<"event">;
  /** Ascending; the home first. */
  readonly partitions: readonly [number, ...number[]];
}

const utf8 = new TextEncoder();

export function copiesOf(event: SimEvent, { routes, version }: View, count: number): Copies {
  const { id, idFrom, name, ts, data } = event;
  const body = { name, id, ts, data };
  const route = routes.of(name);
  const values = matchValuesOf(body, route);
  const partitions = partitionsOf(values, route, count) as readonly [number, ...number[]];
  const record: InboxRecordOf<"event"> = {
    ...{ kind: "event", id, idFrom, name, tsMs: ts },
    values: values.map(([path, value]) => [path, value]),
    payload: utf8.encode(JSON.stringify(body)),
    ...{ version, home: partitions[0], origin: null },
  };
  return { record, partitions };
}

export interface SendDeps {
  readonly log: SimLog;
  readonly topics: Topics;
  readonly partitions: number;
  readonly registry: RegistryViews;
  readonly facts: Facts;
  readonly habits: SenderHabits;
  readonly rng: Prng;
  /** Virtual time. */
  readonly nowMs: () => number;
  /** Ends the process that sends, if it is one that may die so. */
  readonly crash: () => void;
}

/** Resolves when all copies are in their logs. @throws TransientError: some may be, some not */
export async function sendEvent(deps: SendDeps, event: SimEvent): Promise<void> {
  const { registry, habits, rng, facts, nowMs, topics, log } = deps;
  const lookedAtMs = nowMs();
  const view = registry.at(lookedAtMs - rng.between(0, habits.staleMsMax));
  if (view !== registry.latest) facts.count("sends by an old view");
  const { record, partitions } = copiesOf(event, view, deps.partitions);
  const value = encodeInbox(record);
  const [home, ...others] = partitions;
  const append = (p: number) => log.append(topics.inbox, p, [{ key: null, value }]);
  await append(home);
  if (others.length > 0) facts.count("events with several copies");
  if (others.length > 0 && rng.chance(habits.crashes)) {
    facts.count("crashes between copies");
    deps.crash();
  }
  await Promise.all(others.map(append));
  const isLate = nowMs() - lookedAtMs > habits.patienceMs;
  if (isLate && registry.latest.routes !== view.routes) {
    facts.count("sends that took too long");
    throw new TransientError("the routes may have changed on the way");
  }
  facts.acknowledged.push({ eventId: event.id, partitions, atMs: nowMs() });
}
