/** All that a partition task gets from outside. It awaits these ports and nothing else. */
import type { Core } from "../core/index.js";
import type { Clock, Log, Logger, Meter, Topics } from "@eddy/clients";
import type { StoreFactory } from "../ports/store.js";
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
