/** The promises on Kafka: four partitions, two engines, two workers. */
import { describe } from "vitest";
import { largeRuns } from "./suites/large-runs.js";
import { limits } from "./suites/limits.js";
import { promises, restarts } from "./suites/promises.js";
import { strictSteps } from "./suites/strict.js";

describe("on kafka", () => promises("kafka"));
describe("limits on kafka", () => limits("kafka"));
describe("large runs on kafka", () => largeRuns("kafka"));
describe("strict functions on kafka", () => strictSteps("kafka"));
describe("on kafka, over a restart of both engines", () => restarts("kafka"));
