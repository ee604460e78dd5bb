/**
 * The sender: gives each event its id and time, finds the partitions that must see it, and answers only once the log
 * has every copy (G1, G6).
 *
 * Invariants: the home copy of an event (its lowest partition) is acknowledged before its other copies are sent. The
 * copies of one request reach each partition in the order of the request's events. What is answered with success was
 * routed by what was registered then, or less than the namespace's `settleMs` before (see `RegistryView`).
 */
import {
  encodeInbox,
  LIMITS,
  matchValuesOf,
  partitionOf,
  partitionsOf,
  type EventInput,
  type StoredEvent,
} from "@eddy/schemas";
import type { InboxLanes, Permit } from "./inbox-lanes.js";
import type { Clock } from "../ports/clock.js";
import type { NewRecord } from "../ports/log.js";
import type { Meter } from "../ports/meter.js";
import type { RegistryView, RoutingView } from "../registry/registry-view.js";
import { RequestError } from "../errors/request-error.js";

/** Which of the events have an id that a machine made. */
export type GeneratedIds = "all" | ReadonlySet<number>;

export interface EventSenderDeps {
  readonly lanes: InboxLanes;
  readonly registry: RegistryView;
  readonly clock: Clock;
  readonly meter: Meter;
  /** How far the namespace's clock is ahead of real time, in ms: an event without `ts` gets stream time. */
  readonly advanceMs: () => number;
  /** A new event id; ids of one process grow in text order. */
  readonly makeId: (nowMs: number) => string;
}

/** One copy of an event on its way to one partition. */
interface Copy {
  readonly record: NewRecord;
  readonly isHome: boolean;
  readonly home: HomeCopy;
}

interface HomeCopy {
  acknowledged: boolean;
  /** Resolves when the home copy is in the log; null where there is no other copy to hold back. */
  readonly whenAcknowledged: Promise<void> | null;
  acknowledge(): void;
  fail(error: unknown): void;
}

interface Encoded {
  readonly event: StoredEvent;
  readonly payload: Uint8Array;
}
interface Sendable extends Encoded {
  readonly idFrom: "user" | "generated";
  readonly version: number;
}

const utf8 = new TextEncoder();

export class EventSender {
  readonly #deps: EventSenderDeps;

  constructor(deps: EventSenderDeps) {
    this.#deps = deps;
  }

  /**
   * @param generated which of the given ids a machine made: they are remembered for minutes, not for a day.
   * @returns the ids, in the order of `events`, once the log has all of them.
   * @throws RequestError for an event that is too large or too deep; nothing was sent. TransientError where the log
   *   does not answer, or took so long that functions registered meanwhile may have missed an event: any part may have
   *   been stored, and sending the same ids again is harmless.
   */
  async send(events: readonly EventInput[], generated: GeneratedIds): Promise<readonly string[]> {
    const { registry, meter, clock, advanceMs } = this.#deps;
    const nowMs = clock.nowMs();
    const tsMs = nowMs + advanceMs();
    const encoded = events.map((event, i) => this.#encode(event, events.length > 1 ? i : null, nowMs, tsMs));
    const view = await registry.whenFresh();
    const queues = new Map<number, Copy[]>();
    for (const [i, { event, payload }] of encoded.entries()) {
      const isGenerated = events[i]?.id === undefined || generated === "all" || generated.has(i);
      this.#addCopies(queues, { event, payload, idFrom: isGenerated ? "generated" : "user", version: view.version });
    }
    await this.#sendAll(queues, view);
    await registry.checkAnswer(view);
    meter.count("eddy_events_accepted_total", events.length);
    return encoded.map(({ event }) => event.id);
  }

  #encode(input: EventInput, index: number | null, nowMs: number, tsMs: number): Encoded {
    const id = input.id ?? this.#deps.makeId(nowMs);
    const event = { ...input, id, ts: input.ts ?? tsMs } as StoredEvent;
    const path = index === null ? null : `[${index}]`;
    const payload = utf8.encode(jsonOf(event, path));
    if (payload.byteLength > LIMITS.eventBytesMax) {
      throw new RequestError(
        "EVENT_TOO_LARGE",
        `expected an event of at most ${LIMITS.eventBytesMax} bytes as JSON, got ${payload.byteLength}`,
        path,
      );
    }
    return { event, payload };
  }

  #addCopies(queues: Map<number, Copy[]>, { event, payload, idFrom, version }: Sendable): void {
    const { lanes, registry } = this.#deps;
    const route = registry.route(event.name);
    const values = matchValuesOf(event, route);
    const partitions = partitionsOf(values, route, lanes.partitions);
    const value = encodeInbox({
      kind: "event",
      id: event.id,
      idFrom,
      name: event.name,
      tsMs: event.ts,
      values: values.map(([path, text]) => [path, text]),
      payload,
      version,
      home: partitions[0] as number,
      origin: null,
    });
    const home = partitions.length === 1 ? ONLY_COPY : homeCopy();
    for (const [i, partition] of partitions.entries()) {
      const [, key] = values.find(([, text]) => partitionOf(text, lanes.partitions) === partition) ?? ["", event.id];
      const copy = { record: { key, value }, isHome: i === 0, home };
      const queue = queues.get(partition);
      if (queue === undefined) queues.set(partition, [copy]);
      else queue.push(copy);
    }
  }

  /** Waits for every queue to end, also when one fails: an answer is given when nothing of the request is under way. */
  async #sendAll(queues: ReadonlyMap<number, readonly Copy[]>, view: RoutingView): Promise<void> {
    const permit = (): Promise<void> | void => this.#deps.registry.checkAppend(view);
    const sending = [...queues].map(([partition, copies]) => this.#sendQueue(partition, copies, permit));
    const sent = await Promise.allSettled(sending);
    for (const result of sent) if (result.status === "rejected") throw result.reason;
  }

  /**
   * Sends the copies for one partition, in order, in as few appends as the home copies allow. Never a deadlock: of all
   * copies not sent, the home copy of the earliest event is first in its queue and waits for nothing.
   */
  async #sendQueue(partition: number, copies: readonly Copy[], permit: Permit): Promise<void> {
    let next = 0;
    try {
      while (next < copies.length) {
        const first = copies[next] as Copy;
        if (!first.isHome) await first.home.whenAcknowledged;
        let end = next + 1;
        while (end < copies.length && isReady(copies[end] as Copy)) end += 1;
        const ready = copies.slice(next, end);
        await this.#deps.lanes.append(
          partition,
          ready.map(({ record }) => record),
          permit,
        );
        for (const { isHome, home } of ready) if (isHome) home.acknowledge();
        next = end;
      }
    } catch (error) {
      for (const { isHome, home } of copies.slice(next)) if (isHome) home.fail(error);
      throw error;
    }
  }
}

function isReady({ isHome, home }: Copy): boolean {
  return isHome || home.acknowledged;
}

/** Shared by all events with one copy: nobody waits for it. */
const ONLY_COPY: HomeCopy = {
  acknowledged: true,
  whenAcknowledged: null,
  acknowledge: () => undefined,
  fail: () => undefined,
};

function homeCopy(): HomeCopy {
  let resolve: () => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const whenAcknowledged = new Promise<void>((ok, failed) => {
    resolve = ok;
    reject = failed;
  });
  // Its failure is reported by the queue of the home copy; the other queues may have failed before they waited.
  whenAcknowledged.catch(() => undefined);
  const home: HomeCopy = {
    acknowledged: false,
    whenAcknowledged,
    acknowledge: () => {
      home.acknowledged = true;
      resolve();
    },
    fail: reject,
  };
  return home;
}

/** @throws RequestError where the event is nested too deeply to be written. */
function jsonOf(event: StoredEvent, path: string | null): string {
  try {
    return JSON.stringify(event);
  } catch (cause) {
    throw new RequestError("INVALID_EVENT", "the event is nested too deeply", path, { cause });
  }
}
