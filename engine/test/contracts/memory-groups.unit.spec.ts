import { ManualClock, MemoryGroups, MemoryLog } from "../../src/adapters/memory/index.js";
import { PARTITIONS, TOPIC } from "./groups-world.js";
import type { GroupsWorld } from "./groups-world.js";
import { groupsContract } from "./groups-contract.js";

/** Nothing here waits for time: what can happen happens within this many turns. */
const TURNS_MAX = 1_000;

groupsContract("memory", async (): Promise<GroupsWorld> => {
  const log = new MemoryLog(new ManualClock());
  await log.ensureTopics([{ name: TOPIC, partitions: PARTITIONS, policy: "delete", retentionMs: 60_000 }]);
  const groups = new MemoryGroups(log);
  return {
    log,
    process: () => Promise.resolve(groups),
    until: async (isDone, what) => {
      for (let turns = 0; !(await isDone()); turns += 1) if (turns === TURNS_MAX) throw new Error(`not so: ${what}`);
    },
    dispose: () => log.close(),
  };
});
