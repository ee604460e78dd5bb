/**
 * One batch to one partition, tried again under the same sequence numbers until the broker answers: what it has already,
 * it does not store twice. Shared by appends and by the transactions of the changelog.
 */
import type { NewRecord } from "../ports/log.js";
import { failOn } from "./cluster-view.js";
import type { Purpose } from "./cluster-view.js";
import type { KafkaClient } from "./kafka-client.js";
import { BrokerError, UnansweredError } from "./kafka-errors.js";
import { encodeBatch } from "./record-batch.js";
import type { BatchProducer } from "./record-batch.js";
import { produceRequest } from "./requests.js";
import type { ProducedPartition } from "./requests.js";

const DUPLICATE_SEQUENCE_NUMBER = 46;
/** Of a request's time: the broker is to tell us that its followers are slow before we give up its connection. */
const FOLLOWERS_SHARE = 0.8;
/** What a request gets when patience is about to end. */
const LAST_REQUEST_MS = 1_000;

export interface Destination {
  readonly topic: string;
  readonly partition: number;
}

export interface Production {
  readonly to: Destination;
  readonly records: readonly NewRecord[];
  readonly producer: BatchProducer;
  readonly transactionalId: string | null;
  /** Which of the leader's connections carries it. */
  readonly purpose: Purpose;
  /** How long to go on trying, in ms; default: as long as the client does. */
  readonly patienceMs?: number;
}

/** @throws what the port promises; see `portError` */
export async function produce(client: KafkaClient, given: Production): Promise<ProducedPartition> {
  const { to, records, producer, transactionalId, purpose } = given;
  const { clock, cluster, requestMsMax } = client;
  const batch = encodeBatch(records, producer, clock.nowMs());
  const patienceMs = given.patienceMs ?? client.patienceMs;
  const trying = {
    doing: `append to ${to.topic}/${to.partition}`,
    fields: { ...to, records: records.length },
    patienceMs,
  };
  const giveUpAtMs = clock.nowMs() + patienceMs;
  return client.persist(
    trying,
    async (attempt) => {
      const link = cluster.leaderLink(to.topic, to.partition, purpose);
      const leftMs = Math.max(giveUpAtMs - clock.nowMs(), LAST_REQUEST_MS);
      const msMax = Math.min(leftMs, requestMsMax, Math.max(patienceMs * shareOfTry(attempt), LAST_REQUEST_MS));
      const timeoutMs = Math.round(msMax * FOLLOWERS_SHARE);
      const request = produceRequest({ ...to, batch, transactionalId, timeoutMs });
      const answers = await link.call(request, msMax);
      const answer = soleAnswer(answers, to);
      failOn(answer.errorCode, answer.errorMessage);
      return answer;
    },
    [to.topic],
  );
}

/** Of all patience: a broker that does not answer may be about to be replaced, one that does so late is to have its time. */
function shareOfTry(attempt: number): number {
  return attempt <= 2 ? 0.25 : 0.5;
}

/** What was answered has to be what was sent (KAFKA.md, 1). */
export function soleAnswer(answers: readonly ProducedPartition[], to: Destination): ProducedPartition {
  const [answer] = answers;
  if (answers.length !== 1 || answer?.topic !== to.topic || answer.partition !== to.partition) {
    const got = answers.map(({ topic, partition }) => `${topic}/${partition}`).join(", ");
    throw new UnansweredError(
      `${to.topic}/${to.partition} was sent, the answer is for: ${got === "" ? "nothing" : got}`,
    );
  }
  if (answer.errorCode === 0 && answer.baseOffset < 0) {
    // Stored earlier, at an offset that the broker no longer knows.
    throw new BrokerError(DUPLICATE_SEQUENCE_NUMBER, "the offset of the records is not known");
  }
  return answer;
}
