/** A run's timeline as text: how long after the start, what happened, and what to know about it. */
import type { HistoryEntry, TimelineLine } from "@eddy/schemas";
import type { Terminal } from "./terminal.js";
import { cut, durationShown, jsonShown, shown, timeShown } from "./text.js";

type Kind = HistoryEntry["kind"];
type Color = "dim" | "green" | "red" | "yellow" | "cyan";
/** [colour, what happened, more about it] */
type Telling = readonly [Color, string, string?];

const END_KINDS: ReadonlySet<string> = new Set<Kind>(["runCompleted", "runFailed", "runCancelled"]);
export const isEnd = ({ kind }: TimelineLine): boolean => END_KINDS.has(kind);

const REASONS: Readonly<Record<string, string>> = {
  start: "it starts",
  resume: "it goes on",
  retry: "it tries again",
  leaseLost: "its worker was lost",
  declined: "its worker lacked something",
};

const TELL: Readonly<Record<Kind, (line: TimelineLine) => Telling>> = {
  runStarted: ({ eventName, dueAtMs, at }) => {
    const dueMs = Number(dueAtMs) - Date.parse(at);
    const more = dueMs > 0 ? `, due in ${durationShown(dueMs)}` : "";
    return ["cyan", "started", `by ${text(eventName)}${more}`];
  },
  runDispatched: ({ reason, invocation }) => {
    return ["dim", "sent to a worker", `${REASONS[String(reason)] ?? text(reason)}, invocation ${String(invocation)}`];
  },
  stepCompleted: ({ stepId, data }) => ["green", `step ${text(stepId)}`, data === null ? "" : jsonShown(data)],
  stepFailed: (line) => ["red", `step ${text(line["stepId"])} failed`, failure(line)],
  sleepStarted: ({ stepId, untilMs }) => ["dim", `sleep ${text(stepId)}`, `until ${timeOf(untilMs)}`],
  sleepEnded: ({ stepId }) => ["green", `sleep ${text(stepId)} is over`],
  waitStarted: ({ stepId, eventName, untilMs }) => {
    return ["dim", `wait ${text(stepId)}`, `for ${text(eventName)} until ${timeOf(untilMs)}`];
  },
  waitResolved: ({ stepId, eventId, fromLookback }) => {
    const when = fromLookback === true ? ", which had come before" : "";
    return ["green", `wait ${text(stepId)} resolved`, `by event ${text(eventId)}${when}`];
  },
  waitTimedOut: ({ stepId }) => ["yellow", `wait ${text(stepId)} timed out`],
  stepWithdrawn: ({ stepId }) => ["dim", `${text(stepId)} withdrawn`, "it lost a race"],
  attemptFailed: (line) => ["red", "handler failed", failure(line)],
  runCompleted: ({ data }) => ["green", "completed", jsonShown(data)],
  runFailed: ({ error }) => ["red", "failed", errorText(error)],
  runCancelled: ({ eventId, reason }) => {
    const by = typeof eventId === "string" ? ` by event ${text(eventId)}` : "";
    return ["yellow", `cancelled${by}`, text(reason)];
  },
};

/** Of what happened, before what there is to know about it. */
const TOLD_WIDTH = 26;
const SINCE_WIDTH = 10;
/** A line with its end. @param startIso of the run, as answers have times */
export function timelineText(
  line: TimelineLine,
  startIso: string,
  { colors, columns }: Pick<Terminal, "columns" | "colors">,
): string {
  const since = `+${durationShown(Date.parse(line.at) - Date.parse(startIso))}`.padEnd(SINCE_WIDTH);
  const tell = Object.hasOwn(TELL, line.kind) ? TELL[line.kind as Kind] : tellUnknown;
  const [color, what, more = ""] = tell(line);
  const told = more === "" ? what : what.padEnd(TOLD_WIDTH);
  const room = columns === null ? null : columns - since.length - 2 - told.length - 1;
  const about = more === "" ? "" : ` ${cut(more, room === null ? null : Math.max(ABOUT_MIN, room))}`;
  return `${colors.dim(since)}  ${colors[color](told)}${about}\n`;
}
const ABOUT_MIN = 16;

/** Of an engine that is newer than this command. */
function tellUnknown({ kind, at: _, ...rest }: TimelineLine): Telling {
  return ["dim", text(kind), jsonShown(rest)];
}

function failure({ error, attempt, retryAtMs, at }: TimelineLine): string {
  const next = typeof retryAtMs === "number" ? `next in ${durationShown(retryAtMs - Date.parse(at))}` : "the last one";
  return `${errorText(error)} (attempt ${String(attempt)}, ${next})`;
}

function errorText(error: unknown): string {
  if (typeof error !== "object" || error === null) return jsonShown(error);
  const { name, message } = error as { readonly name?: unknown; readonly message?: unknown };
  return `${text(name)}: ${text(message)}`;
}

const text = (value: unknown): string => shown(typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

/** A time that no date can hold is told as it is. */
function timeOf(ms: unknown): string {
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? text(ms) : timeShown(date.toISOString());
}
