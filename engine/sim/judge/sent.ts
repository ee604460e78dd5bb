/**
 * What a partition wrote to inboxes, its own too, against what the model says it must have: each record once, but for
 * repeats under the same mark, and in the order of its marks.
 */
import {
  compareCauses,
  offset as toOffset,
  parsedJson,
  type Cause,
  type InboxRecord,
  type RegistryEntry,
  type Source,
} from "@eddy/schemas";
import type { Expected, Sent, SentRecord } from "../model/expectation.js";
import type { PartitionModel } from "../model/partition-model.js";
import type { Verdict } from "../model/verdict.js";
import type { Arrived, Evidence } from "./evidence.js";
import { same } from "./same.js";

export interface Received {
  readonly to: number;
  readonly cause: Cause;
  readonly record: SentRecord;
}

export function sourceOf(record: InboxRecord | null): Source | null {
  if (record === null) return null;
  if (record.kind === "event") return record.origin?.source ?? null;
  return "source" in record ? record.source : null;
}

/** What inbox `to` has from `partition`, each mark once. First copies must come in the order of their marks. */
export function receivedFrom(
  partition: number,
  to: number,
  inbox: readonly Arrived[],
  verdict: Verdict,
): readonly Received[] {
  const found = new Map<string, Received>();
  let last: Cause | null = null;
  for (const { offset, record } of inbox) {
    const source = sourceOf(record);
    if (record === null || source?.partition !== partition) continue;
    const cause = { offset: toOffset(source.offset), index: source.index };
    const id = `${cause.offset}.${cause.index}`;
    const known = found.get(id);
    const sent = withoutSource(record);
    if (known !== undefined) {
      if (same(known.record, sent)) continue;
      verdict.add("G10", `a repeat of ${record.kind} ${id} of partition ${partition} differs`, {
        partition: to,
        offset,
      });
      continue;
    }
    if (last !== null && compareCauses(cause, last) < 0) {
      const text = `${record.kind} ${id} of ${partition} first came after ${last.offset}.${last.index}: it is dropped`;
      verdict.add("effects", text, { partition: to, offset });
    }
    last = cause;
    found.set(id, { to, cause, record: sent });
  }
  return [...found.values()];
}

function withoutSource(record: InboxRecord): SentRecord {
  if (record.kind !== "event") {
    const { source: _, ...rest } = record as InboxRecord & { source: Source };
    return rest as SentRecord;
  }
  const { as, isStale, atMs, offset } = record.origin ?? { as: "repeat", isStale: false, atMs: 0, offset: 0 };
  return { ...record, origin: { as, isStale, atMs, offset } };
}

export function compareSent(
  model: PartitionModel,
  evidences: readonly Pick<Evidence, "partition" | "inbox">[],
  verdict: Verdict,
): void {
  const { partition } = model.where;
  const all = evidences.flatMap(({ partition: to, inbox }) => receivedFrom(partition, to, inbox, verdict));
  const left = new Map<string, Received[]>();
  for (const received of all) {
    const at = placeOf(received.cause.offset, received.to);
    left.set(at, [...(left.get(at) ?? []), received]);
  }
  const missing = model.expected.sent.filter(({ offset, body }) => !take(left.get(placeOf(offset, body.to)), body));
  for (const wanted of missing) {
    const [near] = left.get(placeOf(wanted.offset, wanted.body.to)) ?? [];
    const text = `expected ${describeSent(wanted)}, found ${near === undefined ? "nothing" : describe(near.record)}`;
    verdict.add(promiseOf(wanted.body.record), text, { partition, offset: wanted.offset });
    left.get(placeOf(wanted.offset, wanted.body.to))?.shift();
  }
  for (const { cause, to, record } of [...left.values()].flat()) {
    verdict.add(promiseOf(record), `to ${to} nobody expects ${describe(record)}`, { partition, offset: cause.offset });
  }
}

const placeOf = (offset: number, to: number): string => `${offset} to ${to}`;

/** Takes one that is equal off the list. */
function take(from: Received[] | undefined, wanted: Sent): boolean {
  const at = from?.findIndex(({ record }) => same(plain(record), plain(wanted.record))) ?? -1;
  if (at >= 0) from?.splice(at, 1);
  return at >= 0;
}

/** Without what means nothing: orders of sets, words of errors, digests, how JSON is written. */
function plain(record: SentRecord): unknown {
  switch (record.kind) {
    case "listen": {
      const { taken, wait, rules } = record;
      return {
        ...record,
        taken: [...taken].sort(),
        wait: wait === null ? null : { ...wait, given: json(wait.given) },
        rules: rules.map((rule) => JSON.stringify({ ...rule, given: json(rule.given) })).sort(),
      };
    }
    case "answer":
      return record.answer.kind === "failed" ? { ...record, answer: record.answer.error.name } : record;
    case "registered": {
      const news = record.news.map((path) => JSON.stringify(path)).sort();
      return { ...record, news, config: plainConfig(record.config) };
    }
    case "event":
      return { ...record, values: [...record.values].sort(([a], [b]) => (a < b ? -1 : 1)) };
    default:
      return record;
  }
}

type Config = Extract<RegistryEntry, { kind: "app" }>["config"];

export function plainConfig(config: Config): unknown {
  const paths = (list: readonly object[]): string[] => list.map((item) => JSON.stringify(item)).sort();
  return { ...config, digest: "", learned: paths(config.learned), retired: paths(config.retired) };
}

function json(bytes: Uint8Array | null): unknown {
  return bytes === null ? null : parsedJson(bytes);
}

function promiseOf(record: SentRecord): string {
  switch (record.kind) {
    case "answer":
      return record.answer.kind === "cancelled" ? "G3" : "G1";
    case "event":
      return "G6";
    default:
      return "effects";
  }
}

function describeSent({ offset, body }: Expected<Sent>): string {
  return `${offset} to ${body.to}: ${describe(body.record)}`;
}

const TEXT_CHARS_MAX = 900;
function describe(record: SentRecord): string {
  const text = JSON.stringify(plain(record), (_, value: unknown) =>
    value instanceof Uint8Array ? new TextDecoder().decode(value) : value,
  );
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX)}…`;
}
