/**
 * Appends, one lane per partition: one batch under way at a time, and what is asked for meanwhile goes together in the
 * next one. An append is never split: its records are in one batch, which the broker stores whole or not at all.
 *
 *   append ──> queue ──(lane idle)──> batch under (producer id, sequence) ──> leader ──> acknowledge each append
 *
 * One at a time, because a retry is recognised by its sequence numbers: two batches under way could get the same ones,
 * and the broker would drop the second as a repeat of the first. For the same reason a lane takes a new producer id
 * after a failure: whether the broker has used the numbers is not known then.
 *
 * Patience is bounded for who waits, not only for a batch: once a batch has run out of it, those behind it in the lane
 * are tried shortly, until one of them gets through.
 */
import { offset } from "@eddy/schemas";
import { BadRecordError, TransientError } from "../errors/codes.js";
import type { Appended, NewRecord } from "../ports/log.js";
import type { Purpose } from "./cluster-view.js";
import type { KafkaClient } from "./kafka-client.js";
import { BATCH_BYTES_MAX, GATHERED_BYTES_MAX, GATHERED_RECORDS_MAX } from "./limits.js";
import { produce } from "./produce.js";
import type { Destination } from "./produce.js";
import { BATCH_OVERHEAD_BYTES, nextSequence, recordBytesMax } from "./record-batch.js";

interface ProducerId {
  readonly id: bigint;
  readonly epoch: number;
}

interface Call {
  readonly records: readonly NewRecord[];
  readonly bytes: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/** Connections to each broker: it works on one request of a connection at a time, and an append waits for followers. */
const CONNECTIONS = 4;
/** How long an append goes on trying, in ms: longer than most failovers take, and as long as a sender may be kept waiting. */
const PATIENCE_MS = 10_000;
/** Of those behind one that ran out of patience. */
const TROUBLED_PATIENCE_MS = 1_000;
/** How long ago a failure still says something about the next append, in ms. */
const TROUBLE_MS = 10_000;
/** Of no use without transactions, but asked for. */
const TRANSACTION_MS_MAX = 60_000;

export class AppendLanes {
  readonly #client: KafkaClient;
  readonly #lanes = new Map<string, Lane>();
  #shared: Promise<ProducerId> | null = null;

  constructor(client: KafkaClient) {
    this.#client = client;
  }

  /**
   * As `Log.append`, for a partition that exists and records that its topic takes.
   * @throws BadRecordError when they are too large together
   */
  append(to: Destination, records: readonly NewRecord[]): Promise<Appended> {
    const bytes = records.reduce((sum, record) => sum + recordBytesMax(record), BATCH_OVERHEAD_BYTES);
    if (bytes > BATCH_BYTES_MAX) {
      throw new BadRecordError(
        `an append of ${records.length} records, ${bytes} bytes together, is one batch: at most ${BATCH_BYTES_MAX} ` +
          "bytes are taken, so append them apart",
        { ...to, bytes },
      );
    }
    const name = `${to.topic}/${to.partition}`;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      const purpose: Purpose = `produce-${this.#lanes.size % CONNECTIONS}`;
      const producerIds: ProducerIds = {
        shared: (patienceMs) => this.#sharedProducerId(patienceMs),
        fresh: (patienceMs) => this.#newProducerId(patienceMs),
      };
      lane = new Lane(this.#client, to, purpose, producerIds);
      this.#lanes.set(name, lane);
    }
    return lane.append(records, bytes);
  }

  /** Sequence numbers count per partition, so that all lanes may have the same producer id. */
  #sharedProducerId(patienceMs: number): Promise<ProducerId> {
    this.#shared ??= this.#newProducerId(patienceMs).catch((error: unknown) => {
      this.#shared = null;
      throw error;
    });
    return this.#shared;
  }

  async #newProducerId(patienceMs: number): Promise<ProducerId> {
    const trying = { doing: "give out a producer id", fields: {}, patienceMs };
    const { producerId, producerEpoch } = await this.#client.onAnyBroker("InitProducerId", trying, (broker) =>
      broker.initProducerId({ transactionTimeout: TRANSACTION_MS_MAX }),
    );
    return { id: BigInt(producerId), epoch: producerEpoch };
  }
}

interface ProducerIds {
  shared(patienceMs: number): Promise<ProducerId>;
  fresh(patienceMs: number): Promise<ProducerId>;
}

class Lane {
  readonly #client: KafkaClient;
  readonly #to: Destination;
  readonly #purpose: Purpose;
  readonly #producerIds: ProducerIds;
  readonly #queue: Call[] = [];
  #pumping = false;
  #producer: ProducerId | null = null;
  #sequence = 0;
  #hasFailed = false;
  /** When a batch last ran out of patience, with none stored since; null: never. */
  #troubledAtMs: number | null = null;

  constructor(client: KafkaClient, to: Destination, purpose: Purpose, producerIds: ProducerIds) {
    this.#client = client;
    this.#to = to;
    this.#purpose = purpose;
    this.#producerIds = producerIds;
  }

  append(records: readonly NewRecord[], bytes: number): Promise<Appended> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ records, bytes, resolve, reject });
      if (!this.#pumping) void this.#pump();
    });
  }

  /** Never rejects: what goes wrong is told to the calls. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    // Appends that are asked for in this turn of the event loop go together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const calls = this.#queue.splice(0, this.#gathered());
      const sinceMs = this.#client.clock.nowMs();
      try {
        this.#client.checkOpen();
        await this.#send(calls);
      } catch (error) {
        this.#producer = null;
        this.#hasFailed = true;
        if (error instanceof TransientError) this.#noteTrouble(sinceMs);
        for (const { reject } of calls) reject(error);
      }
    }
    this.#pumping = false;
  }

  /** How many calls the next batch takes; at least one. */
  #gathered(): number {
    let [bytes, records, calls] = [0, 0, 0];
    for (const call of this.#queue) {
      bytes += call.bytes;
      records += call.records.length;
      if (calls > 0 && (bytes > GATHERED_BYTES_MAX || records > GATHERED_RECORDS_MAX)) break;
      calls += 1;
    }
    return calls;
  }

  async #send(calls: readonly Call[]): Promise<void> {
    const records = calls.flatMap((call) => call.records);
    const patienceMs = this.#patienceMs();
    const sinceMs = this.#client.clock.nowMs();
    const { id, epoch } = (this.#producer ??= await this.#newProducer(patienceMs));
    const { baseOffset, appendTimeMs } = await produce(this.#client, {
      to: this.#to,
      records,
      producer: { id, epoch, sequence: this.#sequence, transactional: false },
      transactionalId: null,
      purpose: this.#purpose,
      patienceMs: Math.max(patienceMs - (this.#client.clock.nowMs() - sinceMs), 0),
    });
    this.#troubledAtMs = null;
    this.#sequence = nextSequence(this.#sequence, records.length);
    let at = baseOffset;
    for (const call of calls) {
      call.resolve({ baseOffset: offset(at), appendTimeMs });
      at += call.records.length;
    }
  }

  get #isTroubled(): boolean {
    return this.#troubledAtMs !== null && this.#client.clock.nowMs() - this.#troubledAtMs < TROUBLE_MS;
  }

  #patienceMs(): number {
    return Math.min(this.#client.patienceMs, this.#isTroubled ? TROUBLED_PATIENCE_MS : PATIENCE_MS);
  }

  /** A failure that came soon may have reasons of its own. @param sinceMs when the batch was begun */
  #noteTrouble(sinceMs: number): void {
    const nowMs = this.#client.clock.nowMs();
    if (this.#isTroubled || nowMs - sinceMs >= TROUBLED_PATIENCE_MS) this.#troubledAtMs = nowMs;
  }

  async #newProducer(patienceMs: number): Promise<ProducerId> {
    this.#sequence = 0;
    return this.#hasFailed ? this.#producerIds.fresh(patienceMs) : this.#producerIds.shared(patienceMs);
  }
}
