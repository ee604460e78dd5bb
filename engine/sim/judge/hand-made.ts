/** Evidence made by hand, for tests of the judge: two partitions, their inboxes and histories, as a test tells them. */
import {
  offset as toOffset,
  partitionOf,
  runBaseOf,
  runIdAt,
  type FunctionConfig,
  type HistoryEntry,
  type InboxRecord,
  type InboxRecordOf,
  type StepOp,
  type StepRequest,
} from "@eddy/schemas";
import { Verdict } from "../model/verdict.js";
import type { Arrived, Caused, Evidence } from "./evidence.js";
import { World } from "./world.js";

const PARTITIONS = 2;
export const FUNCTION_ID = "shop/f";

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
type Line = DistributiveOmit<HistoryEntry, "runId" | "functionId">;
type WaitRequest = Extract<StepOp, { kind: "waitRequested" }>;

/** A text that lies on this partition. */
export function keyOn(partition: number): string {
  for (let i = 0; ; i++) if (partitionOf(`s:k${i}`, PARTITIONS) === partition) return `k${i}`;
}

export function functionOf(config: Partial<FunctionConfig>): FunctionConfig {
  const triggers = [{ event: "start", if: null }];
  return { id: "f", name: "f", triggers, cancelOn: [], waits: [], retries: 0, ...config };
}

export function waitFor(wait: Partial<WaitRequest>): WaitRequest {
  return {
    ...{ kind: "waitRequested", stepId: "wait", event: "reply", match: "data.k", if: null, value: null },
    ...{ since: "mark", timeout: { ms: 1_000 } },
    ...wait,
  };
}

export class HandMade {
  readonly #inboxes: Arrived[][] = [[], []];
  readonly #histories: Caused<HistoryEntry>[][] = [[], []];
  readonly requests: Caused<StepRequest>[] = [];
  readonly #acknowledged = new Set<string>();

  /** @returns its offset. */
  record(partition: number, atMs: number, record: InboxRecord): number {
    const inbox = this.#inboxes[partition] ?? [];
    const offset = toOffset(inbox.length);
    inbox.push({ offset, appendTimeMs: atMs, record, raw: { offset, appendTimeMs: atMs, key: null, value: null } });
    return offset;
  }

  registered(partition: number, config: FunctionConfig): number {
    const app = {
      app: "shop",
      version: 1,
      digest: "",
      functions: [config],
      anchors: [],
      learned: [],
      retired: [],
      former: [],
    };
    const source = { partition: 0, offset: 0, index: 0 };
    return this.record(partition, 0, { kind: "registered", config: app, news: [], settleMs: 0, source });
  }

  /** One copy, whose sender was told that the log has the event. */
  event(partition: number, atMs: number, given: { id: string; name: string; data: object; home?: number }): number {
    const { id, name, data, home = partition } = given;
    const payload = new TextEncoder().encode(JSON.stringify({ id, name, ts: 0, data }));
    const event: InboxRecordOf<"event"> = {
      ...{ kind: "event", id, idFrom: "user", name, tsMs: 0, values: [], payload, version: 1, home, origin: null },
    };
    this.#acknowledged.add(id);
    return this.record(partition, atMs, event);
  }

  report(partition: number, atMs: number, runId: string, op: StepOp): number {
    return this.record(partition, atMs, {
      kind: "report",
      report: { runId, invocation: 1, ops: [op], outcome: { kind: "suspended" } },
    });
  }

  line(partition: number, offset: number, runId: string, line: Line): void {
    const lines = this.#histories[partition] ?? [];
    const index = lines.filter(({ cause }) => cause.offset === offset).length;
    const body = { ...line, runId, functionId: FUNCTION_ID };
    lines.push({ cause: { offset: toOffset(offset), index }, body, bytes: new Uint8Array() });
  }

  /** A run that an event starts, with its first line. @returns its id. */
  run(partition: number, atMs: number, given: { id: string; data: object; anchor: string }): string {
    const offset = this.event(partition, atMs, { id: given.id, name: "start", data: given.data });
    return this.started(partition, offset, atMs, given);
  }

  started(partition: number, offset: number, atMs: number, { id, anchor }: { id: string; anchor: string }): string {
    const base = runBaseOf({ functionId: FUNCTION_ID, eventName: "start", eventId: id, anchorValue: `s:${anchor}` });
    const runId = runIdAt(base, offset);
    this.line(partition, offset, runId, { kind: "runStarted", atMs, eventId: id, eventName: "start", dueAtMs: atMs });
    return runId;
  }

  evidence(partition: number): Pick<Evidence, "partition" | "inbox" | "history" | "requests"> {
    const [inbox, history] = [this.#inboxes[partition] ?? [], this.#histories[partition] ?? []];
    return { partition, inbox, history, requests: this.requests };
  }

  get world(): World {
    const evidences = [this.evidence(0), this.evidence(1)];
    return new World({ evidences, acknowledged: this.#acknowledged, skewMs: 1_000 });
  }

  /** What the judge finds. */
  judged(judge: (world: World, verdict: Verdict) => void): string[] {
    const verdict = new Verdict();
    judge(this.world, verdict);
    return verdict.violations.map(({ promise, text }) => `${promise}: ${text}`);
  }
}
