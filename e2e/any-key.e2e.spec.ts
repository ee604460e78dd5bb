/** Any key, any order, on memory and on the embedded log. */
import { describe } from "vitest";
import { anyKey } from "./suites/any-key/index.js";
import { registrations } from "./suites/registrations.js";
import { LOCAL_WORLDS } from "./world.js";

describe.each(LOCAL_WORLDS)("on %s", anyKey);
describe.each(LOCAL_WORLDS)("on %s, while functions are registered", registrations);
