import { describe } from "vitest";
import { boundedMemory } from "./suites/bounded-memory.js";

describe("on kafka", () => boundedMemory("kafka"));
