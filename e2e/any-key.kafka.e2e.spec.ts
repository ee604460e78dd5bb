/** Any key, any order, on Kafka: four partitions, two engines, two workers. */
import { describe } from "vitest";
import { anyKey } from "./suites/any-key/index.js";
import { registrations } from "./suites/registrations.js";

describe("on kafka", () => anyKey("kafka"));
describe("on kafka, while functions are registered", () => registrations("kafka"));
