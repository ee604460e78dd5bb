/** Look-ups on an engine in one process, on memory and on the embedded log. */
import { describe } from "vitest";
import { KINDS } from "./fixtures.js";
import { lookUps } from "./look-ups.js";

describe.each(KINDS)("on %s", lookUps);
