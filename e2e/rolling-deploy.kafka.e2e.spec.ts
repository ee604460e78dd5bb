/** Deploys while runs are under way, on Kafka: two engines, and of each version a worker over Kafka and one by a gateway. */
import { describe } from "vitest";
import { rollingDeploy } from "./suites/rolling-deploy.js";

describe("on kafka", () => rollingDeploy("kafka"));
