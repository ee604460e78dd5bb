/** Effects: all that leaves a partition. Imperative; carried out by the partition task, in order, each with its cause. */
import type { HistoryEntry, InboxRecord, RegistryEntry, RequestPart, Signal, StepRequest } from "@eddy/schemas";

export type Effect =
  /** To `steps.<app>`, the same partition number. `parts`: so many effects right before it are parts of it. */
  | { readonly kind: "RequestStep"; readonly app: string; readonly request: StepRequest; readonly parts: number }
  /** Likewise: memo entries that its request, which follows, does not hold itself. */
  | { readonly kind: "RequestPart"; readonly app: string; readonly part: RequestPart }
  /** To `signals.<app>`. */
  | { readonly kind: "SendSignal"; readonly app: string; readonly signal: Signal }
  /** To another inbox partition, or to this one again. */
  | { readonly kind: "AppendInbox"; readonly partition: number; readonly record: InboxRecord }
  /** To `registry`, under `key`. */
  | { readonly kind: "PublishRegistry"; readonly key: string; readonly entry: RegistryEntry }
  /** To `history`, the same partition number. */
  | { readonly kind: "RecordHistory"; readonly entry: HistoryEntry };

/** Why an input changed nothing: data, not an exception. Logged and counted. */
export interface Rejection {
  readonly code:
    | "DUPLICATE_EVENT"
    | "DUPLICATE_RUN"
    | "RUN_FINISHED"
    | "STALE_INVOCATION"
    | "STALE_TIMER"
    | "STALE_REGISTRATION"
    | "REPEATED_RECORD"
    | "NOT_INBOX_ZERO"
    | "MISDIRECTED"
    | "REGISTRY_FULL";
  readonly detail: string;
}
