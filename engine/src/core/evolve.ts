/** Applies one fact to the rows. Pure; live, in drafts and in replay alike. */
import type { Change } from "./changes.js";
import { guestAppliers } from "./state/guest-appliers.js";
import { partitionAppliers } from "./state/partition-appliers.js";
import { runAppliers } from "./state/run-appliers.js";
import { subscriptionAppliers } from "./state/subscription-appliers.js";
import type { RowWriter } from "./state/view.js";

export type Applier<K extends Change["kind"]> = (rows: RowWriter, change: Extract<Change, { kind: K }>) => void;
type Appliers = { readonly [K in Change["kind"]]: Applier<K> };

const appliers: Appliers = { ...partitionAppliers, ...runAppliers, ...guestAppliers, ...subscriptionAppliers };

export function evolve(rows: RowWriter, change: Change): void {
  (appliers[change.kind] as Applier<Change["kind"]>)(rows, change);
}
