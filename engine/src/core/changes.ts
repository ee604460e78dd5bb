/** Changes: facts in the past tense. In memory only; the rows they change are what a checkpoint writes. */
import type { Cause, KeptEventRow, MemoEntry, PendingItem, RegisteredApp, RunRow, Source } from "@eddy/schemas";
import type { IdClass, RowKey } from "./state/keys.js";

type Subscription = RunRow["subscriptions"][number];

export type Change =
  | {
      readonly kind: "EventRemembered";
      readonly idClass: IdClass;
      readonly idKeys: readonly string[];
      readonly nowMs: number;
    }
  | { readonly kind: "IdsForgotten"; readonly key: RowKey<"ids"> }
  | { readonly kind: "EventKept"; readonly routeKey: string; readonly offset: number; readonly event: KeptEventRow }
  /** Kept events at or before `upToOffset` are gone; with Infinity, all. */
  | { readonly kind: "KeptEventsTrimmed"; readonly routeKey: string; readonly upToOffset: number }
  /** `run` has no subscriptions yet. */
  | { readonly kind: "RunStarted"; readonly run: RunRow }
  | {
      readonly kind: "SubscriptionOpened";
      readonly runId: string;
      readonly purpose: Subscription["purpose"];
      readonly routeKey: string;
      readonly expiresAtMs: number | null;
    }
  | {
      readonly kind: "SubscriptionClosed";
      readonly runId: string;
      readonly purpose: Subscription["purpose"];
      readonly routeKey: string;
    }
  | { readonly kind: "StepSettled"; readonly runId: string; readonly entry: MemoEntry }
  | { readonly kind: "PendingOpened"; readonly runId: string; readonly item: PendingItem }
  | { readonly kind: "PendingClosed"; readonly runId: string; readonly no: number }
  /** A retry's time came while the run was in flight. */
  | { readonly kind: "RetryCameDue"; readonly runId: string; readonly no: number }
  | { readonly kind: "EventTaken"; readonly runId: string; readonly eventId: string }
  | { readonly kind: "MarkMoved"; readonly runId: string; readonly toOffset: number }
  | { readonly kind: "AttemptFailed"; readonly runId: string; readonly stepId: string; readonly attempts: number }
  | { readonly kind: "InvocationDispatched"; readonly runId: string; readonly no: number; readonly cause: Cause }
  | { readonly kind: "InvocationEnded"; readonly runId: string }
  | { readonly kind: "LeaseExtended"; readonly runId: string; readonly untilMs: number }
  | { readonly kind: "RequestsDelivered"; readonly app: string; readonly mark: Cause; readonly dueAtMs: number }
  /** Sweeps due at or before `untilMs` are done; with `againAtMs`, the last of them goes on then. */
  | {
      readonly kind: "DeliverySwept";
      readonly app: string;
      readonly untilMs: number;
      readonly againAtMs: number | null;
    }
  /** All subscriptions are closed before. */
  | { readonly kind: "RunEnded"; readonly runId: string }
  | { readonly kind: "RegistrationNumbered"; readonly version: number }
  | { readonly kind: "FunctionsRegistered"; readonly config: RegisteredApp }
  | { readonly kind: "SourceMarkMoved"; readonly source: Source }
  | { readonly kind: "ClockAdvanced"; readonly ms: number }
  | { readonly kind: "LogicChanged"; readonly version: number };
