/** What users do wrong, on Kafka: one engine, workers by its gateway and without it. */
import { describe } from "vitest";
import { badInput } from "./suites/bad-input.js";

describe("on kafka", () => badInput("kafka"));
