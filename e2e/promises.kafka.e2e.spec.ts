/** The promises on Kafka: four partitions, two engines, two workers. */
import { describe } from "vitest";
import { promises, restarts } from "./suites/promises.js";

describe("on kafka", () => promises("kafka"));
describe("on kafka, over a restart of both engines", () => restarts("kafka"));
