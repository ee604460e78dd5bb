/** Two engines on Kafka in this process; the worker is at the first one's gateway, look-ups go to both. */
import { describe } from "vitest";
import { restarts, thinSlice } from "./thin-slice.js";

describe("on kafka", () => {
  thinSlice("kafka");
});
describe("on kafka", () => restarts("kafka"));
