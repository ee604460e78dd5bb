import { describe } from "vitest";
import { boundedMemory } from "./suites/bounded-memory.js";
import { LOCAL_WORLDS } from "./world.js";

describe.each(LOCAL_WORLDS)("on %s", boundedMemory);
