/** Routes an input to the handler of its kind. Total: throws only on a broken invariant. */
import type { Source } from "@eddy/schemas";
import { invariant } from "@eddy/clients/errors";
import type { Decision } from "./decision.js";
import { Draft } from "./draft.js";
import { isMisdirected, sourceOf, type Input, type Moment } from "./inputs.js";
import { onListen, onUnlisten } from "./foreign/guest.js";
import { onAnnounced, onAnswer } from "./foreign/host.js";
import { onEvent } from "./match/event.js";
import { onLearn, onRegister, onRegistered } from "./route/registration.js";
import { onSettled } from "./route/settle.js";
import { onCancel } from "./run/cancel.js";
import { markKey } from "./state/keys.js";
import type { RowView } from "./state/view.js";
import { onDeclined, onDelivered, onHeartbeat } from "./step/lease.js";
import { onReport } from "./step/report.js";
import { onTimerDue } from "./timer/due.js";

export function decide(view: RowView, input: Input, moment: Moment): Decision {
  const draft = new Draft(view, moment);
  if (isMisdirected(input, moment)) {
    draft.reject("MISDIRECTED", `a ${input.kind} that no partition sends to partition ${moment.partition}`);
    return draft;
  }
  const source = sourceOf(input);
  if (source === null || takeOnce(draft, source)) handle(draft, input);
  return draft;
}

/** Effects come at least once, in order: what is at or below the source's mark was taken before. */
function takeOnce(draft: Draft, source: Source): boolean {
  const mark = draft.get(markKey(source.partition));
  const isRepeat =
    mark !== null && (source.offset < mark.offset || (source.offset === mark.offset && source.index <= mark.index));
  if (isRepeat)
    draft.reject("REPEATED_RECORD", `effect ${source.offset}.${source.index} of partition ${source.partition}`);
  else draft.emit({ kind: "SourceMarkMoved", source });
  return !isRepeat;
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
      return onRegister(draft, input);
    case "registered":
      return onRegistered(draft, input);
    case "cancel":
      return onCancel(draft, input);
    case "logic":
      return onLogic(draft, input.version);
    case "declined":
      return onDeclined(draft, input);
    case "listen":
      return onListen(draft, input);
    case "unlisten":
      return onUnlisten(draft, input);
    case "answer":
      return onAnswer(draft, input);
    case "announced":
      return onAnnounced(draft, input);
    case "learn":
      return onLearn(draft, input);
    case "settled":
      return onSettled(draft, input);
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
