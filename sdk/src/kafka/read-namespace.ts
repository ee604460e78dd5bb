import { decodeRegistry } from "@eddy/schemas";
import type { Log, Namespace } from "@eddy/clients";
import { InvariantViolation } from "@eddy/clients/errors";

const RECORDS_MAX = 500;

/**
 * What the engines fixed when they made the namespace; null: none has yet.
 * @param topic name of the registry topic. @throws TransientError, ConfigError
 */
export async function readNamespace(log: Log, topic: string): Promise<Namespace | null> {
  let range: Awaited<ReturnType<Log["offsets"]>>;
  try {
    range = await log.offsets(topic, 0);
  } catch (error) {
    if (error instanceof InvariantViolation) return null; // By contract: there is no such topic.
    throw error;
  }
  const reader = log.reader(topic, 0, range.start);
  try {
    while (reader.position < range.end) {
      for (const { value } of await reader.read({ recordsMax: RECORDS_MAX, waitMs: 0 })) {
        const entry = value === null ? null : decodeRegistry(value);
        if (entry?.kind !== "namespace") continue;
        const { partitions, dev, settleMs } = entry;
        return { partitions, dev, settleMs };
      }
    }
    return null;
  } finally {
    await reader.close();
  }
}
