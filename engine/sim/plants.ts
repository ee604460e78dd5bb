/**
 * Bugs to be found. Each is put in from outside, around the core or a port; production code has no switch for any of
 * them. What wraps the core wraps the judge's replay too, as if it stood in the source: only the model, the promises and
 * the comparison of incarnations can tell then.
 */
import { CORE_PLANTS } from "./plants/core-plants.js";
import { FOREIGN_PLANTS } from "./plants/foreign-plants.js";
import type { Plant } from "./plants/plant.js";
import { PORT_PLANTS } from "./plants/port-plants.js";

export type { Plant } from "./plants/plant.js";

export const PLANTS: readonly Plant[] = [...CORE_PLANTS, ...FOREIGN_PLANTS, ...PORT_PLANTS];
