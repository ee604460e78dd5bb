/**
 * A process that is going to be killed: it writes to an embedded log as fast as it can and tells on stdout what was
 * acknowledged.
 * Arguments: directory, fsync ("1" or "0"), then where each stream and the changelog go on.
 */
import { EmbeddedLog } from "../../../src/adapters/embedded/index.js";
import { SystemClock } from "../../../src/adapters/memory/index.js";
import type { NewRecord } from "../../../../clients/src/ports/log.js";
import { CHANGELOG, INBOX, record } from "../log-world.js";
import { tellingSyncs } from "./disk.js";
import { GROUP, ROWS, STREAMS, batchSize } from "./plan.js";
import { tell } from "./tell.js";

const [, , directory = "", fsync = "", ...goOn] = process.argv;
const fail = (fields: object, message: string): never => {
  throw new Error(`${message}: ${JSON.stringify(fields)}`);
};

const log = await EmbeddedLog.open(directory, {
  clock: new SystemClock(),
  fsync: fsync === "1",
  logger: { error: fail },
  openForSync: tellingSyncs(tell),
  writeBufferBytes: 65_536, // Small, so that memtables and write-ahead logs change while it runs.
});
await log.ensureTopics([INBOX, CHANGELOG]);

/** Appends batches one after another; the next only once the last is acknowledged. */
async function stream(s: number, first: number): Promise<void> {
  const partition = s % INBOX.partitions;
  for (let batch = first; ; batch += 1) {
    const size = batchSize(s, batch);
    const records = Array.from({ length: size }, (_, i): NewRecord => record(`s${s}`, `${s}.${batch}.${i}/${size}`));
    const { baseOffset } = await log.append(INBOX.name, partition, records);
    tell({ stream: s, batch, partition, baseOffset });
  }
}

/** Commits versions of all rows, and then the group offset that goes with them. */
async function changelog(first: number): Promise<void> {
  const writer = await log.openChangelogWriter(CHANGELOG.name, 0);
  for (let version = first; ; version += 1) {
    await writer.commit(ROWS.map((row) => record(row, String(version))));
    tell({ version });
    const at = await log.offsets(CHANGELOG.name, 0);
    await log.commitGroupOffset(GROUP, CHANGELOG.name, 0, { offset: at.end, metadata: String(version) });
    tell({ groupVersion: version });
  }
}

await Promise.all([...STREAMS.map((s) => stream(s, Number(goOn[s]))), changelog(Number(goOn[STREAMS.length]))]);
