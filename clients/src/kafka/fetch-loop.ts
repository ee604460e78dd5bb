/**
 * Fetches for all readers of this process, many partitions in one request. Readers pull: a cursor is fetched for only
 * while its reader waits with nothing in hand, so that a slow reader holds at most one answer.
 *
 *   want(cursor) ──> wanting ──(a poll connection of the leader is free)──> long poll: all that are wanting ──> deliver
 *   fetchNow(cursor) ──> express connection ──> the same without waiting: what is there at this moment
 *
 * A broker works on one request of a connection at a time, and a long poll cannot be called back. So whoever comes to
 * want while all polls are out first gets a fetch without waiting, and polls stay short for a while after there was
 * something: a reader that has just got records comes back soon.
 *
 * No group, no rebalance, no position but the reader's own: an answer is taken only if it continues where the cursor
 * stands (KAFKA.md, 13). Trouble with brokers is tried again here, for ever; a reader learns of it by `fetchNow`.
 */
import type { BrokerLink } from "./broker-link.js";
import { failOn } from "./cluster-view.js";
import type { Purpose } from "./cluster-view.js";
import type { FetchCursor } from "./fetch-cursor.js";
import type { KafkaClient } from "./kafka-client.js";
import { BrokerError, verdictOf } from "./kafka-errors.js";
import { MIB } from "./limits.js";
import { fetchRequest } from "./requests.js";
import type { FetchWish, Fetched } from "./requests.js";

/** Long polls to each broker at a time, for committed records and for all of them. */
const POLLS_MAX = 2;
const POLL_MS_MIN = 10;
const POLL_MS_MAX = 250;
/** Of one answer, whatever the number of partitions. */
const FETCH_BYTES_MAX = 8 * MIB;
const PARTITION_BYTES_MAX = MIB;
const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 1_000;
const LEADER_NOT_AVAILABLE = 5;

interface Poll {
  readonly purpose: Purpose;
  isOut: boolean;
}

/** Fetches from one broker of one kind: a request asks for committed records only, or for all. */
interface Source {
  readonly nodeId: number;
  readonly committedOnly: boolean;
  readonly polls: readonly Poll[];
  /** When it last had something, or somebody new came. */
  activeAtMs: number;
  /** Waiting for the express connection. */
  urgent: Map<FetchCursor, Waiter[]>;
  expressIsOut: boolean;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Cursors of one partition that stand at the same offset share what is fetched. */
interface Wish extends FetchWish {
  readonly cursors: FetchCursor[];
}

export class FetchLoop {
  readonly #client: KafkaClient;
  readonly #sources = new Map<string, Source>();
  /** In the order in which they came: who got something goes to the end. */
  readonly #wanting = new Set<FetchCursor>();
  /** Had no leader, or one that does not answer: looked up again after a pause. */
  readonly #parked = new Set<FetchCursor>();
  #turn = 0;
  #pumpIsDue = false;
  #pauseMs = PAUSE_MS_MIN;
  #isLookingAgain = false;

  constructor(client: KafkaClient) {
    this.#client = client;
  }

  /** Number of the last fetch that was sent. */
  get turn(): number {
    return this.#turn;
  }

  /** Fetches for the cursor until it has something, has failed, or no longer wants. */
  want(cursor: FetchCursor): void {
    if (cursor.isOut || this.#wanting.has(cursor) || this.#parked.has(cursor)) return;
    this.#wanting.add(cursor);
    this.#pumpSoon();
  }

  /**
   * Resolves when a fetch that was sent after this call has come back: then the cursor has its answer, or `trouble`.
   * @throws raw errors
   */
  fetchNow(cursor: FetchCursor): Promise<void> {
    const source = this.#sourceOf(cursor);
    if (source === null) return Promise.reject(nobodyLeads(cursor));
    return new Promise<void>((resolve, reject) => {
      const waiters = source.urgent.get(cursor) ?? [];
      waiters.push({ resolve, reject });
      source.urgent.set(cursor, waiters);
      this.#pumpSoon();
    });
  }

  forget(cursor: FetchCursor): void {
    this.#wanting.delete(cursor);
    this.#parked.delete(cursor);
  }

  /** What is asked for in one turn of the event loop goes together. */
  #pumpSoon(): void {
    if (this.#pumpIsDue) return;
    this.#pumpIsDue = true;
    setImmediate(() => {
      this.#pumpIsDue = false;
      if (!this.#client.signal.aborted) this.#pump();
    });
  }

  #pump(): void {
    const bySource = new Map<Source, FetchCursor[]>();
    for (const cursor of this.#wanting) {
      const source = this.#sourceOf(cursor);
      if (source === null) {
        this.#park(cursor, nobodyLeads(cursor));
        continue;
      }
      const cursors = bySource.get(source);
      if (cursors === undefined) bySource.set(source, [cursor]);
      else cursors.push(cursor);
    }
    for (const [source, cursors] of bySource) this.#pollFor(source, cursors);
    for (const source of this.#sources.values()) {
      if (!source.expressIsOut && source.urgent.size > 0) void this.#sendExpress(source);
    }
  }

  #pollFor(source: Source, cursors: readonly FetchCursor[]): void {
    let left = cursors;
    for (const poll of source.polls) {
      if (poll.isOut || left.length === 0) continue;
      const { wishes, others } = wishesOf(left);
      left = others;
      for (const cursor of wishes.flatMap((wish) => wish.cursors)) {
        this.#wanting.delete(cursor);
        cursor.isOut = true;
      }
      void this.#sendPoll(source, poll, wishes);
    }
    if (left.length === 0) return;
    // All polls are out: each gets one look without waiting, and goes with the next poll.
    source.activeAtMs = this.#client.clock.nowMs();
    for (const cursor of left) {
      if (cursor.lookedAt !== cursor.next && !source.urgent.has(cursor)) source.urgent.set(cursor, []);
    }
  }

  /** Never rejects. */
  async #sendPoll(source: Source, poll: Poll, wishes: readonly Wish[]): Promise<void> {
    poll.isOut = true;
    const cursors = wishes.flatMap((wish) => wish.cursors);
    try {
      const link = this.#client.cluster.link(source.nodeId, poll.purpose);
      await this.#fetch(source, link, wishes, this.#pollMs(source));
      this.#pauseMs = PAUSE_MS_MIN;
    } catch (error) {
      this.#trouble(cursors, error);
    }
    poll.isOut = false;
    for (const cursor of cursors) {
      cursor.isOut = false;
      if (cursor.isWanting) this.want(cursor);
    }
    this.#pumpSoon();
  }

  /** Half as long as nothing has come yet, within bounds. */
  #pollMs({ activeAtMs }: Source): number {
    const quietMs = (this.#client.clock.nowMs() - activeAtMs) / 2;
    return Math.round(Math.min(Math.max(quietMs, POLL_MS_MIN), POLL_MS_MAX));
  }

  /** Never rejects. */
  async #sendExpress(source: Source): Promise<void> {
    source.expressIsOut = true;
    const { urgent } = source;
    const { wishes, others } = wishesOf([...urgent.keys()].filter((cursor) => !cursor.isClosed));
    source.urgent = new Map(others.map((cursor) => [cursor, urgent.get(cursor) ?? []]));
    const waiters = [...urgent].flatMap(([cursor, waiting]) => (source.urgent.has(cursor) ? [] : waiting));
    try {
      const link = this.#client.cluster.link(source.nodeId, `express-${kindOf(source)}`);
      if (wishes.length > 0) await this.#fetch(source, link, wishes, 0);
      for (const { resolve } of waiters) resolve();
    } catch (error) {
      for (const { reject } of waiters) reject(error);
    }
    source.expressIsOut = false;
    this.#pumpSoon();
  }

  /** @throws raw errors that concern the request as a whole */
  async #fetch(source: Source, link: BrokerLink, wishes: readonly Wish[], waitMs: number): Promise<void> {
    const turn = ++this.#turn;
    for (const { cursors, from } of wishes) for (const cursor of cursors) cursor.lookedAt = from;
    const request = fetchRequest({
      wishes,
      committedOnly: source.committedOnly,
      waitMs,
      bytesMax: FETCH_BYTES_MAX,
      partitionBytesMax: PARTITION_BYTES_MAX,
    });
    const answer = await link.call(request, waitMs + this.#client.requestMsMax);
    failOn(answer.errorCode);
    this.#deliver(source, answer, wishes, turn);
  }

  #deliver(source: Source, answer: Fetched, wishes: readonly Wish[], turn: number): void {
    const byPartition = new Map(wishes.map((wish) => [`${wish.topicId}/${wish.partition}`, wish]));
    for (const { topicId, partition, errorCode, decode } of answer.partitions) {
      const wish = byPartition.get(`${topicId}/${partition}`);
      if (wish === undefined) continue;
      try {
        failOn(errorCode);
        const decoded = decode(wish.from);
        if (decoded.next > wish.from) source.activeAtMs = this.#client.clock.nowMs();
        for (const cursor of wish.cursors) cursor.deliver(wish.from, decoded, turn);
      } catch (error) {
        this.#trouble(wish.cursors, error);
      }
    }
  }

  /** What may pass is tried again after a pause; the rest is the reader's to know. */
  #trouble(cursors: readonly FetchCursor[], error: unknown): void {
    const verdict = verdictOf(error);
    const isPassing = verdict === "leader" || verdict === "retry" || verdict === "coordinator";
    for (const cursor of cursors) {
      if (isPassing) this.#park(cursor, error);
      else cursor.fail(error);
    }
  }

  #park(cursor: FetchCursor, error: unknown): void {
    this.#wanting.delete(cursor);
    cursor.trouble = error instanceof Error ? error : new Error(String(error));
    this.#parked.add(cursor);
    if (!this.#isLookingAgain) void this.#lookAgain();
  }

  /** Never rejects. */
  async #lookAgain(): Promise<void> {
    this.#isLookingAgain = true;
    const { clock, signal, cluster, logger } = this.#client;
    while (this.#parked.size > 0 && !signal.aborted) {
      await clock.sleep(this.#pauseMs, signal);
      this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX);
      const cursors = [...this.#parked];
      try {
        await cluster.refresh(new Set(cursors.map(({ place }) => place.topic)));
      } catch (err) {
        logger.debug({ err }, "no broker tells who leads the partitions that are read; trying again");
        continue;
      }
      for (const cursor of cursors) {
        this.#parked.delete(cursor);
        cursor.checkTopicId(cluster.topic(cursor.place.topic)?.topicId);
        if (cursor.isWanting) this.want(cursor);
      }
    }
    this.#isLookingAgain = false;
  }

  #sourceOf({ place }: FetchCursor): Source | null {
    const nodeId = this.#client.cluster.leaderOf(place.topic, place.partition);
    if (nodeId === null) return null;
    const { committedOnly } = place;
    const key = `${nodeId}/${committedOnly}`;
    let source = this.#sources.get(key);
    if (source === undefined) {
      const kind = kindOf({ committedOnly });
      const polls = Array.from({ length: POLLS_MAX }, (_, i): Poll => ({ purpose: `poll-${kind}-${i}`, isOut: false }));
      const activeAtMs = this.#client.clock.nowMs();
      source = { nodeId, committedOnly, polls, activeAtMs, urgent: new Map(), expressIsOut: false };
      this.#sources.set(key, source);
    }
    return source;
  }
}

const kindOf = ({ committedOnly }: Pick<Source, "committedOnly">) => (committedOnly ? "committed" : "all");

function nobodyLeads({ place }: FetchCursor): BrokerError {
  return new BrokerError(LEADER_NOT_AVAILABLE, `${place.topic}/${place.partition}`);
}

/** A partition can be in a request once: of readers at different offsets, the first decides, the others go later. */
export function wishesOf(cursors: readonly FetchCursor[]): {
  readonly wishes: readonly Wish[];
  readonly others: readonly FetchCursor[];
} {
  const wishes = new Map<string, Wish>();
  const others: FetchCursor[] = [];
  for (const cursor of cursors) {
    const { topicId, partition } = cursor.place;
    const key = `${topicId}/${partition}`;
    const wish = wishes.get(key);
    if (wish === undefined) wishes.set(key, { topicId, partition, from: cursor.next, cursors: [cursor] });
    else if (wish.from === cursor.next) wish.cursors.push(cursor);
    else others.push(cursor);
  }
  return { wishes: [...wishes.values()], others };
}
