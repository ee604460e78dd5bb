/** Functions whose triggers, waits and cancel rules have different keys are as right as those that share one. */
import type { WorldKind } from "../../world.js";
import { conditions } from "./conditions.js";
import { foreignCancel } from "./foreign-cancel.js";
import { identity } from "./identity.js";
import { learned } from "./learned.js";
import { parallel } from "./parallel.js";
import { refusals } from "./refusals.js";
import { sentEvents } from "./sent-events.js";
import { Stage } from "./stage.js";
import { threeKeys } from "./three-keys.js";

export function anyKey(kind: WorldKind): void {
  const stage = new Stage(kind);
  threeKeys(stage);
  foreignCancel(stage);
  parallel(stage);
  conditions(stage);
  sentEvents(stage);
  learned(stage);
  refusals(stage);
  identity(stage);
}
