/** Look-ups on two engines on Kafka: each is asked in turn. */
import { describe } from "vitest";
import { lookUps } from "./look-ups.js";

describe("on kafka", () => lookUps("kafka"));
