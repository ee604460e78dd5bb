/**
 * Puts requests together that do not fit one record: their parts come right before them, each an effect of its own, with
 * consecutive causes, the request's the last (ADR 0022). Invariants: what is new comes in the order of causes, so parts of
 * one request at a time are at hand, at most LIMITS.runStateBytesMax of them; whatever is not beyond what is at hand, or
 * beyond the mark, is a repeat, of a former owner or a new one, and changes nothing. Parts whose request does not follow
 * are dropped by what comes instead.
 */
import {
  compareCauses,
  type Cause,
  type Offset,
  type RequestPart,
  type StepRequest,
  type StepsRecord,
} from "@eddy/schemas";

/** The parts so far of a request that is still to come. */
export interface Gathered {
  /** Where the first of them is. */
  readonly from: Offset;
  /** Cause of the last. */
  readonly last: Cause;
  readonly parts: readonly RequestPart[];
}

export type Taken =
  | { readonly kind: "repeat" }
  | { readonly kind: "part"; readonly gathered: Gathered }
  /** Put together: all of its memo is in it. */
  | { readonly kind: "request"; readonly request: StepRequest; readonly cause: Cause }
  /** Parts of it are not in the log any more. */
  | { readonly kind: "torn"; readonly request: StepRequest; readonly cause: Cause };

export interface Standing {
  /** Cause of the last request that is done with; null before the first. */
  readonly mark: Cause | null;
  readonly gathered: Gathered | null;
}

/** Takes the next record of a steps partition, which lies at `at`. Changes nothing that it is given. */
export function takeRecord(record: StepsRecord, at: Offset, { mark, gathered }: Standing): Taken {
  const { cause } = record;
  const known = gathered?.last ?? mark;
  if (known !== null && compareCauses(cause, known) <= 0) return { kind: "repeat" };
  if (record.kind === "part") {
    const before = gathered !== null && follows(record.body, cause, gathered) ? gathered : null;
    const parts = [...(before?.parts ?? []), record.body];
    return { kind: "part", gathered: { from: before?.from ?? at, last: cause, parts } };
  }
  const { body: request, parts } = record;
  if (parts === 0) return { kind: "request", request, cause };
  if (gathered?.parts.length !== parts || !follows(request, cause, gathered)) return { kind: "torn", request, cause };
  const memo = [...gathered.parts.flatMap((part) => part.memo), ...request.memo];
  return { kind: "request", request: { ...request, memo }, cause };
}

type Invocation = Pick<StepRequest, "runId" | "invocation">;

/** Is it the next effect, and of the same request? */
function follows({ runId, invocation }: Invocation, { offset, index }: Cause, { last, parts }: Gathered): boolean {
  const [first] = parts;
  return (
    offset === last.offset && index === last.index + 1 && first?.runId === runId && first.invocation === invocation
  );
}
