/** The core as one value, for the partition task. */
import { decide } from "./decide.js";
import { evolve } from "./evolve.js";
import type { Core } from "./index.js";
import { readPlan } from "./read-plan.js";

/** Version of `decide`: grows when the same log would give other rows or effects. */
export const LOGIC_VERSION = 1;

export const core: Core = { logicVersion: LOGIC_VERSION, readPlan, decide, evolve };
