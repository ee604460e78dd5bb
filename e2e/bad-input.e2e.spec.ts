/** What users do wrong, on memory and on the embedded log. */
import { describe } from "vitest";
import { badInput } from "./suites/bad-input.js";
import { LOCAL_WORLDS } from "./world.js";

describe.each(LOCAL_WORLDS)("on %s", badInput);
