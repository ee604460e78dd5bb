/** Ports over a world's memory adapters that a test can hold, fail and watch. */
import { TransientError } from "../../../clients/src/errors/codes.js";
import type { ChangelogWriter, Log, NewRecord } from "../../../clients/src/ports/log.js";
import type { World } from "./world.js";

export interface HeldLog {
  readonly log: Log;
  /** Topics whose appends do not return until they are released; they are stored at once. */
  readonly held: Set<string>;
  /** Lets held appends return. */
  readonly release: () => void;
  /** Appends to this topic fail so many times more, not stored. */
  readonly failing: Map<string, number>;
  /** What becomes of the next commits; `go` when empty. */
  readonly commits: ("go" | "failAfter" | "failBefore")[];
  readonly committed: (readonly NewRecord[])[];
  readonly readWaits: number[];
}

export function heldLog(world: World): HeldLog {
  const log = world.log.session();
  const held = new Set<string>();
  const failing = new Map<string, number>();
  const commits: HeldLog["commits"] = [];
  const committed: (readonly NewRecord[])[] = [];
  const readWaits: number[] = [];
  let waiting: (() => void)[] = [];
  const append = log.append.bind(log);
  log.append = async (topic, partition, records) => {
    const left = failing.get(topic) ?? 0;
    if (left > 0) {
      failing.set(topic, left - 1);
      throw new TransientError("planned");
    }
    const appended = await append(topic, partition, records);
    if (held.has(topic)) await new Promise<void>((resolve) => waiting.push(resolve));
    return appended;
  };
  const open = log.openChangelogWriter.bind(log);
  log.openChangelogWriter = async (topic, partition): Promise<ChangelogWriter> => {
    const writer = await open(topic, partition);
    return {
      close: () => writer.close(),
      commit: async (records) => {
        const fate = commits.shift() ?? "go";
        if (fate === "failBefore") throw new TransientError("planned: not committed");
        const end = await writer.commit(records);
        committed.push(records);
        if (fate === "failAfter") throw new TransientError("planned: committed");
        return end;
      },
    };
  };
  const reader = log.reader.bind(log);
  log.reader = (topic, partition, from) => {
    const inner = reader(topic, partition, from);
    return {
      read: (limits) => {
        readWaits.push(limits.waitMs);
        return inner.read(limits);
      },
      get position() {
        return inner.position;
      },
      close: () => inner.close(),
    };
  };
  const release = (): void => {
    held.clear();
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  return { log, held, release, failing, commits, committed, readWaits };
}
