/**
 * The one writer of a changelog partition. Its transactional id is the partition's own and never changes, so that a newer
 * writer fences the older ones: the coordinator raises the epoch when the id is taken again (KAFKA.md, 5).
 *
 *   open: init (aborts what an older writer left open) ──> commit: add partition ─> batches ─> end ─> marker visible
 *
 * After a commit that failed nobody can say how far it came: the writer is done for (KAFKA.md, 7).
 */
import { offset } from "@eddy/schemas";
import type { Offset } from "@eddy/schemas";
import { ClosedError, EddyError, FencedError, TransientError, invariant } from "../errors/codes.js";
import type { ChangelogWriter, NewRecord } from "../ports/log.js";
import type { KafkaClient } from "./kafka-client.js";
import { BrokerError, verdictOf } from "./kafka-errors.js";
import { GATHERED_BYTES_MAX, GATHERED_RECORDS_MAX } from "./limits.js";
import { lastStableOffset } from "./offset-queries.js";
import { produce } from "./produce.js";
import type { Destination } from "./produce.js";
import { BATCH_OVERHEAD_BYTES, nextSequence, recordBytesMax } from "./record-batch.js";

/** The coordinator aborts a transaction that is open for longer. A takeover aborts it at once. */
const TRANSACTION_MS_MAX = 60_000;
const CONCURRENT_TRANSACTIONS = 51;

/** The topic's name has the namespace in it. */
export const transactionalIdOf = ({ topic, partition }: Destination): string => `${topic}-${partition}`;

export interface WriterDeps {
  readonly client: KafkaClient;
  readonly to: Destination;
  /** @throws BadRecordError for records that the topic does not take; nothing has been stored then. */
  readonly check: (records: readonly NewRecord[]) => void;
}

/** Fences every earlier writer, then resolves. */
export async function openTransactions(deps: WriterDeps): Promise<ChangelogWriter> {
  const { client, to } = deps;
  const transactionalId = transactionalIdOf(to);
  const failing = { doing: `take over the transactions of ${to.topic}/${to.partition}`, fields: { ...to } };
  const { producerId, producerEpoch } = await client.onCoordinator(
    { kind: "transaction", id: transactionalId },
    failing,
    (link) =>
      link.ask("InitProducerId", client.requestMsMax, (broker) =>
        broker.initProducerId({ transactionalId, transactionTimeout: TRANSACTION_MS_MAX }),
      ),
  );
  return new TransactionalWriter(deps, { transactionalId, producerId, producerEpoch });
}

interface Identity {
  readonly transactionalId: string;
  readonly producerId: string;
  readonly producerEpoch: number;
}

class TransactionalWriter implements ChangelogWriter {
  readonly #client: KafkaClient;
  readonly #to: Destination;
  readonly #check: (records: readonly NewRecord[]) => void;
  readonly #identity: Identity;
  #sequence = 0;
  #committing = false;
  #closed = false;
  #failure: EddyError | null = null;

  constructor({ client, to, check }: WriterDeps, identity: Identity) {
    this.#client = client;
    this.#to = to;
    this.#check = check;
    this.#identity = identity;
  }

  async commit(records: readonly NewRecord[]): Promise<Offset> {
    if (this.#closed) throw new ClosedError("this changelog writer is closed", { ...this.#to });
    this.#client.checkOpen();
    invariant(!this.#committing, "commits of one changelog writer must not overlap", { ...this.#to });
    if (this.#failure !== null) throw this.#repeated(this.#failure);
    this.#check(records);
    this.#committing = true;
    try {
      return await this.#commit(records);
    } catch (error) {
      if (error instanceof EddyError) this.#failure = error;
      throw error;
    } finally {
      this.#committing = false;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #commit(records: readonly NewRecord[]): Promise<Offset> {
    await this.#addPartition();
    let last = -1;
    for (const batch of batchesOf(records)) {
      const { producerId, producerEpoch, transactionalId } = this.#identity;
      const producer = {
        id: BigInt(producerId),
        epoch: producerEpoch,
        sequence: this.#sequence,
        transactional: true,
      };
      const production = { to: this.#to, records: batch, producer, transactionalId, purpose: "transaction" } as const;
      const { baseOffset } = await produce(this.#client, production);
      this.#sequence = nextSequence(this.#sequence, batch.length);
      last = baseOffset + batch.length - 1;
    }
    await this.#end();
    return this.#visibleEnd(last);
  }

  async #addPartition(): Promise<void> {
    const { topic, partition } = this.#to;
    await this.#onCoordinator("begin a transaction on", (link) =>
      link.ask("AddPartitionsToTxn", this.#client.requestMsMax, (broker) =>
        broker.addPartitionsToTxn({ ...this.#identity, topics: [{ topic, partitions: [partition] }] }),
      ),
    );
  }

  /** May be asked twice: a transaction that is committed already is committed. */
  async #end(): Promise<void> {
    let mayBeCommitted = false;
    await this.#onCoordinator("commit to", async (link) => {
      try {
        await link.ask("EndTxn", this.#client.requestMsMax, (broker) =>
          broker.endTxn({ ...this.#identity, transactionResult: true }),
        );
      } catch (error) {
        if (mayBeCommitted && verdictOf(error) === "fenced") throw this.#unknownOutcome(error);
        // Lost answers and failed writes of the coordinator's own log alike: it may have got that far.
        mayBeCommitted = true;
        throw error;
      }
    });
  }

  /**
   * Waits until readers see the transaction: the coordinator answers before its marker is in the partition.
   * @param last offset of the last record; -1: there was none.
   * @returns the offset after the marker, where nothing of anybody else's can lie before it.
   */
  async #visibleEnd(last: number): Promise<Offset> {
    const { topic, partition } = this.#to;
    const end = await this.#client.persist(
      { doing: `show a transaction of ${topic}/${partition}`, fields: { ...this.#to, last } },
      async () => {
        const stable = await lastStableOffset(this.#client, this.#to);
        if (stable <= last + 1) throw new BrokerError(CONCURRENT_TRANSACTIONS, "the marker is not written yet");
        return stable;
      },
      [topic],
    );
    if (last < 0) return offset(end);
    // Whoever appended behind us may not be skipped.
    return offset(end === last + 2 ? end : last + 1);
  }

  #onCoordinator(doing: string, request: Parameters<KafkaClient["onCoordinator"]>[2]): Promise<unknown> {
    const { topic, partition } = this.#to;
    const failing = { doing: `${doing} ${topic}/${partition}`, fields: { ...this.#to } };
    return this.#client.onCoordinator({ kind: "transaction", id: this.#identity.transactionalId }, failing, request);
  }

  #unknownOutcome(cause: unknown): TransientError {
    const { topic, partition } = this.#to;
    const message = `whether the last commit to ${topic}/${partition} is stored is not known: open a new writer`;
    return new TransientError(message, { ...this.#to }, { cause });
  }

  #repeated(failure: EddyError): EddyError {
    if (failure instanceof FencedError) return failure;
    return this.#unknownOutcome(failure);
  }
}

/** In order, each within what may go together; a larger record is a batch of its own (KAFKA.md, 6). */
export function batchesOf(records: readonly NewRecord[]): readonly (readonly NewRecord[])[] {
  const batches: NewRecord[][] = [];
  let batch: NewRecord[] = [];
  let bytes = BATCH_OVERHEAD_BYTES;
  for (const record of records) {
    const recordBytes = recordBytesMax(record);
    const isFull = bytes + recordBytes > GATHERED_BYTES_MAX || batch.length >= GATHERED_RECORDS_MAX;
    if (isFull && batch.length > 0) {
      batches.push(batch);
      batch = [];
      bytes = BATCH_OVERHEAD_BYTES;
    }
    batch.push(record);
    bytes += recordBytes;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
