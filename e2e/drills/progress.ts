/** How long partitions stood still, read from the append times of their history: what a partition decides goes there. */
import { SystemClock, topicsOf, type Log, type LogRecord } from "@eddy/clients";
import { KafkaLog } from "@eddy/clients/kafka";
import { offset } from "@eddy/schemas";
import { PARTITIONS } from "./processes.js";

/** What is away is told by the drill itself. */
export const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface OnKafka {
  readonly brokers: readonly string[];
  readonly namespace: string;
}

/** By partition, ascending; ms since 1970, by the brokers' clocks. */
export async function historyTimes({ brokers, namespace }: OnKafka): Promise<readonly (readonly number[])[]> {
  const log = await openLog(brokers);
  try {
    const topic = topicsOf(namespace).history;
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
    return await Promise.all(
      partitions.map(async (partition) => {
        const times: number[] = [];
        await readAll(log, { topic, partition, from: 0 }, ({ appendTimeMs }) => times.push(appendTimeMs));
        return times.sort((a, b) => a - b);
      }),
    );
  } finally {
    await log.close();
  }
}

export function openLog(brokers: readonly string[]): Promise<KafkaLog> {
  return KafkaLog.open({ brokers, clientId: "eddy-drill", dev: true, clock: new SystemClock(), logger: SILENT });
}

/** Where to read on. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  /** 0: from the first record that is there. */
  readonly from: number;
}

/** Every record that the partition holds at the call. @returns where they end */
export async function readAll(log: Log, place: Place, take: (record: LogRecord) => void): Promise<{ end: number }> {
  const { topic, partition } = place;
  const { start, end } = await log.offsets(topic, partition);
  const reader = log.reader(topic, partition, offset(Math.max(start, place.from)));
  try {
    while (reader.position < end) {
      for (const record of await reader.read({ recordsMax: 10_000, waitMs: 1_000 })) {
        if (record.offset < end) take(record);
      }
    }
    return { end };
  } finally {
    await reader.close();
  }
}

/** @returns the longest time without a record between the two moments, in ms, beginning in it or at its start */
export function longestPause(times: readonly number[], fromMs: number, toMs: number): number {
  const within = [fromMs, ...times.filter((time) => time > fromMs && time < toMs), toMs];
  return within.reduce((longest, time, i) => Math.max(longest, time - (within[i - 1] ?? time)), 0);
}
