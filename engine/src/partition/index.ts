/** The partition task and what it takes. */
export type { PartitionTaskDeps } from "./deps.js";
export type { PartitionFigures } from "./figures.js";
export type { FunctionHoldings } from "./holdings.js";
export { PARTITION_DEFAULTS, type PartitionOptions } from "./options.js";
export type { PartitionTime } from "./session.js";
export { PartitionTask, type PartitionTaskStatus } from "./task.js";
