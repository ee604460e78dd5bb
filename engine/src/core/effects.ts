/** Effects: all that leaves a partition. Imperative; carried out by the partition task, in order, each with its cause. */
import type { HistoryEntry, InboxRecord, RegistryEntry, Signal, StepRequest } from "@eddy/schemas";

export type Effect =
  /** To `steps.<app>`, the same partition number. */
  | { readonly kind: "RequestStep"; readonly app: string; readonly request: StepRequest }
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
