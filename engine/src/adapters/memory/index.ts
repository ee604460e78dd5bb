export { ManualClock } from "./manual-clock.js";
export { MemoryGroups } from "./memory-groups.js";
export { MemoryLog } from "./memory-log.js";
export { MemoryStore, MemoryStoreFactory } from "./memory-store.js";
export { SystemClock } from "@eddy/clients";
