/** Deploys while runs are under way, on memory and on the embedded log. */
import { describe } from "vitest";
import { rollingDeploy } from "./suites/rolling-deploy.js";
import { LOCAL_WORLDS } from "./world.js";

describe.each(LOCAL_WORLDS)("on %s", rollingDeploy);
