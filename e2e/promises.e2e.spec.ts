/** The promises on memory and on the embedded log. */
import { describe } from "vitest";
import { largeRuns } from "./suites/large-runs.js";
import { limits } from "./suites/limits.js";
import { promises, restarts } from "./suites/promises.js";
import { strictSteps } from "./suites/strict.js";
import { LOCAL_WORLDS } from "./world.js";

describe.each(LOCAL_WORLDS)("on %s", promises);
describe.each(LOCAL_WORLDS)("limits on %s", limits);
describe.each(LOCAL_WORLDS)("large runs on %s", largeRuns);
describe.each(LOCAL_WORLDS)("strict functions on %s", strictSteps);
describe("on embedded, over a restart", () => restarts("embedded"));
