/** All that a partition task gets from outside. It awaits these ports and nothing else. */
import type { Core } from "../core/index.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Logger } from "../ports/logger.js";
import type { Meter } from "../ports/meter.js";
import type { StoreFactory } from "../ports/store.js";
import type { Topics } from "../topics.js";
import type { PartitionOptions } from "./options.js";

export interface PartitionTaskDeps {
  readonly core: Core;
  readonly log: Log;
  readonly stores: StoreFactory;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly topics: Topics;
  readonly partition: number;
  readonly partitions: number;
  readonly options?: Partial<PartitionOptions>;
}

/** The same with every option filled in. */
export interface TaskContext extends Omit<PartitionTaskDeps, "options"> {
  readonly options: PartitionOptions;
}
