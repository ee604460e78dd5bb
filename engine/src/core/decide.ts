/** Routes an input to the handler of its kind. Total: throws only on a broken invariant. */
import { invariant } from "@eddy/clients/errors";
import type { Decision } from "./decision.js";
import { Draft } from "./draft.js";
import type { Input, Moment } from "./inputs.js";
import { onEvent } from "./match/event.js";
import { onRegister, onRegistered } from "./route/registration.js";
import { onCancel } from "./run/cancel.js";
import type { RowView } from "./state/view.js";
import { onDeclined, onDelivered, onHeartbeat } from "./step/lease.js";
import { onReport } from "./step/report.js";
import { onTimerDue } from "./timer/due.js";

export function decide(view: RowView, input: Input, moment: Moment): Decision {
  const draft = new Draft(view, moment);
  handle(draft, input);
  return draft;
}

function handle(draft: Draft, input: Input): void {
  switch (input.kind) {
    case "event":
      return onEvent(draft, input);
    case "report":
      return onReport(draft, input.report);
    case "delivered":
      return onDelivered(draft, input);
    case "heartbeat":
      return onHeartbeat(draft, input);
    case "tick":
      return; // Time alone: the task fires what is due before and after every record.
    case "advance":
      return draft.emit({ kind: "ClockAdvanced", ms: input.ms });
    case "register":
      return onRegister(draft, input.config);
    case "registered":
      return onRegistered(draft, input);
    case "cancel":
      return onCancel(draft, input);
    case "logic":
      return onLogic(draft, input.version);
    case "declined":
      return onDeclined(draft, input);
    case "timerDue":
      return onTimerDue(draft, input.timer);
    default:
      return unreachable(input);
  }
}

function onLogic(draft: Draft, version: number): void {
  if (version > draft.partitionRow().logic) draft.emit({ kind: "LogicChanged", version });
}

function unreachable(input: never): never {
  invariant(false, `no handler for input ${JSON.stringify(input)}`);
  throw new Error("unreachable");
}
