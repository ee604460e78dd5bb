/** The Log port's contract on a real broker. */
import { inject } from "vitest";
import { logContract } from "../../../engine/test/contracts/log-contract.js";
import { kafkaWorld } from "./kafka-world.js";

logContract("kafka", () => kafkaWorld(inject("kafkaBrokers")));
