/**
 * A process that is going to be killed: it writes versions of the same rows to a RocksDB store, three batches at a time,
 * and tells on stdout which were acknowledged. Arguments: directory, first version.
 */
import { RocksDbStoreFactory } from "../../../src/adapters/rocksdb/index.js";
import { ROWS } from "./plan.js";
import { tell } from "./tell.js";

const [, , directory = "", first = ""] = process.argv;
const store = await new RocksDbStoreFactory(directory).open("state-0");

async function write(version: number): Promise<void> {
  const value = Buffer.from(String(version));
  await store.write({
    puts: [...ROWS.map((row) => [row, value] as const), [`only-${version}`, value]],
    deletes: [`only-${version - 1}`],
  });
  tell({ version });
}

for (let version = Number(first); ; version += 3) await Promise.all([0, 1, 2].map((n) => write(version + n)));
