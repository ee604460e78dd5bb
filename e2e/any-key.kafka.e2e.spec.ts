/** Any key, any order, on Kafka: four partitions, two engines, two workers. */
import { describe } from "vitest";
import { anyKey } from "./suites/any-key/index.js";

describe("on kafka", () => anyKey("kafka"));
