/** The examples as they are, played through in virtual time on any world. */
import type { WorldKind } from "../world.js";
import { cartAbandonment } from "./cart-abandonment.js";
import { humanApproval } from "./human-approval.js";
import { onboardingNudge } from "./onboarding-nudge.js";
import { salesLeadReminder } from "./sales-lead-reminder.js";

export function playExamples(kind: WorldKind): void {
  cartAbandonment(kind);
  humanApproval(kind);
  onboardingNudge(kind);
  salesLeadReminder(kind);
}
