/** Changes: facts in the past tense. In memory only; the rows they change are what a checkpoint writes. */
import type {
  Cause,
  GuestRow,
  KeptEventRow,
  ListenedPath,
  Mark,
  MemoEntry,
  PendingItem,
  RegisteredApp,
  Rule,
  RunRow,
  Source,
  Subscription,
} from "@eddy/schemas";
import type { IdClass, RowKey } from "./state/keys.js";

/** Whose subscription it is. */
export type Listener =
  | { readonly of: "run"; readonly base: string }
  /** A run of another partition. */
  | { readonly of: "guest"; readonly base: string };

export type Change =
  | {
      readonly kind: "EventRemembered";
      readonly idClass: IdClass;
      readonly idKeys: readonly string[];
      /** Where the event stands. */
      readonly place: { readonly offset: number; readonly atMs: number };
      readonly nowMs: number;
    }
  | { readonly kind: "IdsForgotten"; readonly key: RowKey<"ids"> }
  /** Offsets need not grow from one to the next: what nobody kept is found later. */
  | { readonly kind: "EventKept"; readonly routeKey: string; readonly offset: number; readonly event: KeptEventRow }
  /** The first `count` kept events are gone. `lost`: somebody may have needed them. */
  | { readonly kind: "KeptEventsTrimmed"; readonly routeKey: string; readonly count: number; readonly lost: boolean }
  /** `run` has no subscriptions yet. */
  | { readonly kind: "RunStarted"; readonly run: RunRow }
  | {
      readonly kind: "SubscriptionOpened";
      readonly listener: Listener;
      readonly purpose: Subscription["purpose"];
      readonly routeKey: string;
      readonly rules: readonly Rule[];
      readonly fromTrigger: boolean;
    }
  | {
      readonly kind: "SubscriptionClosed";
      readonly listener: Listener;
      readonly purpose: Subscription["purpose"];
      readonly routeKey: string;
    }
  /** The run listens at another partition too. */
  | { readonly kind: "ForeignAdded"; readonly runId: string; readonly partition: number }
  /** The trigger's copy there was announced. */
  | { readonly kind: "ForeignHeard"; readonly runId: string; readonly partition: number; readonly at: number }
  /** `guest` has no subscriptions yet. */
  | { readonly kind: "GuestArrived"; readonly guest: GuestRow }
  /** The trigger's copy came, again or only now. `rules`, by route key, are added to those that are open. */
  | {
      readonly kind: "GuestHeard";
      readonly base: string;
      readonly at: number;
      readonly rules: ReadonlyMap<string, readonly Rule[]>;
      /** Rules that are over by then go. */
      readonly nowMs: number;
    }
  /** The run that told of it is over, another may have been started by the trigger's last copy. */
  | { readonly kind: "GuestRenewed"; readonly base: string }
  /** The run itself told of it. */
  | {
      readonly kind: "GuestTold";
      readonly base: string;
      readonly runId: string;
      readonly taken: readonly string[];
      readonly keepFromMs: number;
    }
  | { readonly kind: "GuestWaitOpened"; readonly base: string; readonly wait: GuestRow["waits"][number] }
  | { readonly kind: "GuestWaitClosed"; readonly base: string; readonly no: number }
  | { readonly kind: "GuestWaitPostponed"; readonly base: string; readonly no: number; readonly dueAtMs: number }
  | { readonly kind: "GuestTook"; readonly base: string; readonly eventId: string }
  /** All subscriptions are closed before. */
  | { readonly kind: "GuestLeft"; readonly base: string }
  | { readonly kind: "StepSettled"; readonly runId: string; readonly entry: MemoEntry }
  | { readonly kind: "PendingOpened"; readonly runId: string; readonly item: PendingItem }
  | { readonly kind: "PendingClosed"; readonly runId: string; readonly no: number }
  | { readonly kind: "PendingPostponed"; readonly runId: string; readonly no: number; readonly dueAtMs: number }
  /** Had the engine settled it meanwhile, that is taken back: the handler has not seen it. */
  | { readonly kind: "StepWithdrawn"; readonly runId: string; readonly stepId: string }
  /** A step that was withdrawn is asked for again. */
  | { readonly kind: "StepWantedAgain"; readonly runId: string; readonly stepId: string }
  /** A retry's time came while the run was in flight. */
  | { readonly kind: "RetryCameDue"; readonly runId: string; readonly no: number }
  | { readonly kind: "EventTaken"; readonly runId: string; readonly stepId: string; readonly eventId: string }
  /** At least to there, and there is no later mark any more. */
  | { readonly kind: "MarkMoved"; readonly runId: string; readonly to: Mark }
  /** It will move there when the run only waits. */
  | { readonly kind: "MarkPostponed"; readonly runId: string; readonly stepId: string; readonly to: Mark }
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
  | { readonly kind: "FunctionsRegistered"; readonly config: RegisteredApp; readonly settleMs: number }
  /** New routes: waits by them do not time out until all partitions have settled. */
  | {
      readonly kind: "SettlingBegan";
      readonly version: number;
      readonly routes: readonly ListenedPath[];
      readonly partitions: number;
      readonly sendAtMs: number;
    }
  /** This partition has said that it has settled. */
  | { readonly kind: "SettledSent"; readonly version: number }
  /** A partition has settled. */
  | { readonly kind: "SettledHeard"; readonly version: number; readonly partitions: number }
  | { readonly kind: "SourceMarkMoved"; readonly source: Source }
  | { readonly kind: "ClockAdvanced"; readonly ms: number }
  | { readonly kind: "LogicChanged"; readonly version: number };
