/** Facts about the partition as a whole: ids, deliveries, registrations, marks, clock, logic version. */
import { ID_BUCKET_MS, ID_WINDOW_MS, LIMITS, type ListenedPath, type PartitionRow } from "@eddy/schemas";
import { invariant } from "@eddy/clients/errors";
import type { Applier } from "../evolve.js";
import { deliveryKey, FUNCTIONS_KEY, idsKey, markKey, PARTITION_KEY } from "./keys.js";
import { UNIT_BYTES_MAX } from "../utf8.js";
import type { Row, RowWriter } from "./view.js";

type PartitionChange =
  | "EventRemembered"
  | "IdsForgotten"
  | "RequestsDelivered"
  | "DeliverySwept"
  | "RegistrationNumbered"
  | "FunctionsRegistered"
  | "SettlingBegan"
  | "SettledSent"
  | "SettledHeard"
  | "SourceMarkMoved"
  | "ClockAdvanced"
  | "LogicChanged";

function updatePartition(rows: RowWriter, update: (row: Row<"partition">) => Partial<PartitionRow>): void {
  const row = rows.get(PARTITION_KEY);
  invariant(row !== null, "a partition has a partition row from its first takeover on");
  rows.put(PARTITION_KEY, { ...row, ...update(row) });
}

type IdBucket = PartitionRow["ids"]["user"];

/** Where the next id of a class goes: the open chunk of the bucket of `nowMs`, a new one if that is full. */
export function idBucketAt(current: IdBucket, idClass: "generated" | "user", nowMs: number): IdBucket {
  const bucket = Math.floor(nowMs / ID_BUCKET_MS[idClass]);
  if (bucket !== current.bucket) return { bucket, chunk: 0, used: 0 };
  if (current.used >= LIMITS.idsPerChunkMax) return { bucket, chunk: current.chunk + 1, used: 0 };
  return current;
}

type Settling = PartitionRow["settling"];

/** The row stays small: beyond its part of it, routes are not told apart. */
function routesToKeep(settling: Settling, routes: readonly ListenedPath[]): Settling[number]["routes"] {
  const lengthOf = (list: readonly ListenedPath[]): number =>
    list.reduce((sum, { event, path }) => sum + UNIT_BYTES_MAX * (event.length + path.length) + 16, 0);
  const bytes = settling.reduce((sum, entry) => sum + lengthOf(entry.routes ?? []), lengthOf(routes));
  return bytes > LIMITS.settlingBytesMax ? null : routes.map(({ event, path }) => ({ event, path }));
}

export const partitionAppliers: { readonly [K in PartitionChange]: Applier<K> } = {
  EventRemembered: (rows, { idClass, idKeys, place, nowMs }) => {
    for (const idKey of idKeys) {
      updatePartition(rows, ({ ids }) => {
        const at = idBucketAt(ids[idClass], idClass, nowMs);
        const key = idsKey(idClass, at.bucket, at.chunk);
        const expiresAtMs = (at.bucket + 1) * ID_BUCKET_MS[idClass] + ID_WINDOW_MS[idClass];
        const row = rows.get(key) ?? { ids: [], expiresAtMs };
        rows.put(key, { ...row, ids: [...row.ids, [idKey, place.offset, place.atMs]] });
        return { ids: { ...ids, [idClass]: { ...at, used: at.used + 1 } } };
      });
    }
  },
  IdsForgotten: (rows, { key }) => {
    rows.delete(key);
  },
  RequestsDelivered: (rows, { app, mark, dueAtMs }) => {
    const key = deliveryKey(app);
    const open = rows.get(key)?.sweeps ?? [];
    // Some leases then last a little longer, until the first sweep is over.
    const sweeps = open.length < LIMITS.sweepsPerAppMax ? open : open.slice(0, -1);
    rows.put(key, { sweeps: [...sweeps, { mark: { offset: mark.offset, index: mark.index }, dueAtMs }] });
  },
  DeliverySwept: (rows, { app, untilMs, againAtMs }) => {
    const key = deliveryKey(app);
    const sweeps = rows.get(key)?.sweeps ?? [];
    const last = sweeps.findLast((sweep) => sweep.dueAtMs <= untilMs);
    invariant(last !== undefined, "only an open sweep is swept", { app });
    const rest = sweeps.filter((sweep) => sweep.dueAtMs > untilMs);
    const left = againAtMs === null ? rest : [{ ...last, dueAtMs: againAtMs }, ...rest];
    if (left.length === 0) rows.delete(key);
    else rows.put(key, { sweeps: left });
  },
  RegistrationNumbered: (rows, { version }) => {
    updatePartition(rows, () => ({ registrations: version }));
  },
  FunctionsRegistered: (rows, { config, settleMs }) => {
    const row = rows.get(FUNCTIONS_KEY);
    invariant(row !== null, "a partition has a functions row from its first takeover on");
    const apps = [...row.apps.filter((a) => a.app !== config.app), config].sort((a, b) => (a.app < b.app ? -1 : 1));
    rows.put(FUNCTIONS_KEY, { version: config.version, apps });
    updatePartition(rows, () => ({ settleMs }));
  },
  SettlingBegan: (rows, { version, routes, partitions, sendAtMs }) => {
    updatePartition(rows, ({ settling }) => {
      const early = settling.find((entry) => entry.version === version);
      const missing = early?.missing ?? partitions;
      const entry = { version, routes: routesToKeep(settling, routes), missing, sendAtMs };
      return { settling: [...settling.filter((other) => other !== early), entry] };
    });
  },
  SettledSent: (rows, { version }) => {
    updatePartition(rows, ({ settling }) => ({
      settling: settling.map((entry) => (entry.version === version ? { ...entry, sendAtMs: null } : entry)),
    }));
  },
  /** Another partition may be ahead of this one's own registration: then it is counted beforehand. */
  SettledHeard: (rows, { version, partitions }) => {
    updatePartition(rows, ({ settling }) => {
      const known = settling.find((entry) => entry.version === version);
      const entry = known ?? { version, routes: [], missing: partitions, sendAtMs: null };
      const missing = entry.missing - 1;
      const rest = settling.filter((other) => other !== known);
      return { settling: missing === 0 ? rest : [...rest, { ...entry, missing }] };
    });
  },
  SourceMarkMoved: (rows, { source: { partition, offset, index } }) => {
    rows.put(markKey(partition), { offset, index });
  },
  ClockAdvanced: (rows, { ms }) => {
    updatePartition(rows, ({ advanceMs }) => ({ advanceMs: advanceMs + ms }));
  },
  LogicChanged: (rows, { version }) => {
    updatePartition(rows, () => ({ logic: version }));
  },
};
