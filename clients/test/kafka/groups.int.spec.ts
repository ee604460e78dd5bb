/** The Groups port's contract on a real broker, and what takes connections that break and processes that pause. */
import { inject } from "vitest";
import { groupsContract } from "../../../engine/test/contracts/groups-contract.js";
import { kafkaGroupsWorld } from "./groups-world.js";

groupsContract("kafka", () => kafkaGroupsWorld(inject("kafkaBrokers")));
