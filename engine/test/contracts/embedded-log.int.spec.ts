import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EmbeddedLog } from "../../src/adapters/embedded/index.js";
import { ManualClock } from "../../src/adapters/memory/index.js";
import { RECORD_BYTES_MAX } from "../../../clients/src/topic-rules.js";
import { logCleaningContract } from "./log-cleaning-contract.js";
import { logContract } from "./log-contract.js";
import type { LocalLogWorld } from "./log-world.js";

/** Cleaning runs in the background; what it cannot do must not stay unseen. */
const failures: unknown[] = [];
const logger = { error: (fields: object, message: string) => void failures.push({ message, ...fields }) };

async function embeddedWorld(options: { fsync: boolean; tailBytesMax?: number }): Promise<LocalLogWorld> {
  const directory = await mkdtemp(join(tmpdir(), "eddy-log-"));
  const clock = new ManualClock();
  const open = (): Promise<EmbeddedLog> => EmbeddedLog.open(directory, { clock, logger, ...options });
  let log = await open();
  return {
    log,
    reopen: async () => {
      await log.close();
      log = await open();
      return log;
    },
    passMs: (ms) => clock.advance(ms),
    recordBytesMax: RECORD_BYTES_MAX,
    nowMs: () => clock.nowMs(),
    setNowMs: (nowMs) => clock.set(nowMs),
    clean: () => log.clean(),
    settled: () => log.cleaned(),
    dispose: async () => {
      await log.close();
      await rm(directory, { recursive: true });
      if (failures.length > 0) throw new Error(`cleaning failed: ${JSON.stringify(failures)}`);
    },
  };
}

const worlds = [
  ["", { fsync: false }],
  [", reading from the disk alone", { fsync: false, tailBytesMax: 0 }],
  [" with fsync", { fsync: true }],
] as const;

for (const [how, options] of worlds) {
  logContract(`embedded${how}`, () => embeddedWorld(options));
  logCleaningContract(`embedded${how}`, () => embeddedWorld(options));
}
