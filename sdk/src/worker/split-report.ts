/** Reports that a Kafka record can hold, whatever the transport: a gateway may have Kafka behind it. */
import type { ErrorShape, InvocationOutcome, StepOp, StepReport } from "@eddy/schemas";
import { REPORT_BYTES_MAX } from "../step/outbox.js";

/** What an op costs beside its text and data, in bytes: its kind, lengths, flags, durations. */
const OVERHEAD_BYTES = 128;

type Part = Pick<StepReport, "ops" | "outcome">;

/**
 * @returns what to report one after the other, in order, each of at most REPORT_BYTES_MAX, the outcome with the last. A
 * single op or outcome that is larger travels alone; there is none by the limits of results and errors.
 */
export function splitReport(ops: readonly StepOp[], outcome: InvocationOutcome | null): readonly Part[] {
  const parts: Part[] = [];
  let taken: StepOp[] = [];
  let bytes = 0;
  const cut = (more: number): void => {
    if (taken.length > 0 && bytes + more > REPORT_BYTES_MAX) {
      parts.push({ ops: taken, outcome: null });
      taken = [];
      bytes = 0;
    }
    bytes += more;
  };
  for (const op of ops) {
    cut(bytesOfOp(op));
    taken.push(op);
  }
  cut(bytesOfOutcome(outcome));
  parts.push({ ops: taken, outcome });
  return parts;
}

function bytesOfOp(op: StepOp): number {
  const base = OVERHEAD_BYTES + Buffer.byteLength(op.stepId);
  switch (op.kind) {
    case "stepCompleted":
      return base + op.data.length;
    case "stepFailed":
      return base + bytesOfError(op.error);
    case "sleepRequested":
    case "withdrawn":
      return base;
    case "waitRequested":
      return base + Buffer.byteLength(`${op.event}${op.match ?? ""}${op.if ?? ""}${op.value ?? ""}`);
  }
}

function bytesOfOutcome(outcome: InvocationOutcome | null): number {
  if (outcome?.kind === "returned") return OVERHEAD_BYTES + outcome.data.length;
  return outcome?.kind === "threw" ? OVERHEAD_BYTES + bytesOfError(outcome.error) : OVERHEAD_BYTES;
}

function bytesOfError({ name, message, stack }: ErrorShape): number {
  return Buffer.byteLength(`${name}${message}${stack ?? ""}`);
}
