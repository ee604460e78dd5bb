/**
 * Any records that decode, in any order, honest or not: nothing throws, indexes follow from rows, effects go where somebody
 * is and decode there, and the same records give the same rows again (G7, G8).
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  baseOfRun,
  decodeInbox,
  encodeInbox,
  type FunctionConfig,
  type InboxRecord,
  type InboxRecordOf,
  type RegisteredApp,
} from "@eddy/schemas";
import { keyOn } from "./cluster.js";
import { expectDerivedIndexes } from "./derived.js";
import { APP, baseFor, fn, HOUR, json, Scenario } from "./scenario.js";
import "./replay.js";

const PARTITIONS = 3;
const KEYS = Array.from({ length: PARTITIONS }, (_, partition) => keyOn(partition, PARTITIONS));
const [, K1 = "", K2 = ""] = KEYS;
const SHARED = "event.data.u == async.data.u";
const CONDITIONS = [SHARED, `${SHARED} && async.data.n > event.data.n`, "async.data.n > 1", `async.data.u == "${K1}"`];

const FUNCTIONS: readonly FunctionConfig[] = [
  fn({
    id: "cart",
    triggers: [{ event: "added" }],
    cancelOn: [
      { event: "added", match: "data.k", timeout: { ms: HOUR } },
      { event: "left", if: CONDITIONS[1] as string },
    ],
    waits: [{ event: "paid", if: SHARED }, { event: "opened" }],
  }),
  fn({
    id: "any",
    triggers: [{ event: "a*", if: "event.data.n > 0" }, { event: "left" }],
    waits: [{ event: "added", match: "data.u", since: "trigger" }],
  }),
  fn({ id: "plain", triggers: [{ event: "paid" }], retries: 1 }),
];

const pick = fc.constantFrom;
const name = pick("added", "paid", "left", "opened", "axis");
const key = pick(...KEYS);
const eventId = pick("e1", "e2", "e3", "e4");
const path = pick("data.k", "data.u", "id", "=l:opened", `=s:${K1}`, "data.n", "");
const value = pick(...KEYS.map((k) => `s:${k}`), "n:1", "l:opened", "", "s:e1");
const condition = fc.option(pick(...CONDITIONS));
const atMs = pick(0, 1_700_000_000_000, 1_700_000_001_000, 1_700_003_600_000, 8_640_000_000_000_000);
const anyMs = fc.oneof(atMs, pick(-1, 0.5, 1e300));
const count = fc.nat(4);
const bytes = pick(json({ data: { u: K2, n: 0 } }), json(null), new Uint8Array([0xff, 0x7b]), new Uint8Array());
const base = fc
  .tuple(pick("cart", "any", "plain", "gone"), name, eventId, pick(...KEYS, "e1"))
  .map(([id, on, event, k]) => baseFor(id, on, event, `s:${k}`));
const anyBase = fc.oneof({ weight: 20, arbitrary: base }, { weight: 1, arbitrary: pick("", "zzz", "000", "r|") });
const runIdOf = (of: string) => pick(`${of}0`, `${of}1`, `${of}5`, of, "");
/** Of any partition, also of such that are not; offsets that come again. */
const source = fc.record({ partition: fc.nat(4), offset: fc.nat(60), index: fc.nat(3) });
const error = { name: "Error", message: "no", stack: null };
const configs = fc.subarray([...FUNCTIONS]);
const learned = fc.record({ functionId: pick("cart", "any", "gone"), event: name, path, of: fc.option(path) });
const body = fc.record({ k: key, u: key, n: pick(0, 1, 2) });

type Kind = InboxRecord["kind"];
/** `s`: where it is applied; what runs there is asked of it. */
type Make = (s: Scenario) => InboxRecord;
const record = <K extends Kind>(
  kind: K,
  fields: { [F in Exclude<keyof InboxRecordOf<K>, "kind">]: fc.Arbitrary<unknown> },
) =>
  fc.record(fields as Record<string, fc.Arbitrary<unknown>>).map(
    (made): Make =>
      () =>
        ({ kind, ...made }) as InboxRecord,
  );

/** As a sender writes it, or any values, versions, homes, origins and payloads. */
const event = fc
  .record({
    ...{ name, body, id: fc.option(eventId, { nil: undefined }), ts: pick(0, 0, 0, 1_700_000_060_000) },
    more: fc.option(
      fc.record(
        {
          values: fc.array(fc.tuple(path, value), { maxLength: 4 }),
          payload: bytes,
          version: count,
          home: fc.nat(9),
          origin: fc.record({ as: pick("repeat", "offer"), isStale: fc.boolean(), atMs: anyMs, offset: count, source }),
        },
        { requiredKeys: [] },
      ),
    ),
  })
  .map(({ name: on, body: data, id, ts, more }): Make => {
    const given = id === undefined ? { ts } : { id, ts };
    return (s) => ({ ...s.event(on, data, given), ...more }) as InboxRecord;
  });

const timeout = fc.oneof(
  pick(0, 1, 60_000, HOUR).map((ms) => ({ ms })),
  atMs.map((at) => ({ atMs: at })),
);
const stepId = pick("a", "b", "c", "d", "e");
const waitRequested = fc.record({
  ...{ kind: pick("waitRequested"), stepId, event: name, match: fc.option(pick("data.k", "data.u")), if: condition },
  ...{ value: fc.option(value), since: pick("mark", "trigger", "registration"), timeout },
});
const failure = { retriable: fc.boolean(), retryAfter: fc.option(timeout) };
const op = fc.oneof(
  fc.record({ kind: pick("stepCompleted"), stepId, data: bytes }),
  fc.record({ kind: pick("stepFailed"), stepId, error: pick(error), ...failure }),
  fc.record({ kind: pick("sleepRequested"), stepId, until: timeout }),
  fc.record({ kind: pick("withdrawn"), stepId }),
  { weight: 5, arbitrary: waitRequested },
);
const outcome = fc.option(
  fc.oneof(
    { weight: 16, arbitrary: fc.record({ kind: pick("suspended") }) },
    { weight: 2, arbitrary: fc.record({ kind: pick("yielded") }) },
    { weight: 1, arbitrary: fc.record({ kind: pick("returned"), data: bytes }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: pick("threw"),
        error: pick(error),
        retriable: fc.boolean(),
        retryAfter: fc.option(timeout),
      }),
    },
  ),
);
const report = fc
  .record({ which: fc.nat(3), invocation: pick(0, 0, 0, 1, 7), ops: fc.array(op, { maxLength: 3 }), outcome })
  .map(({ which, invocation, ...done }): Make => {
    return (s) => {
      const run = s.runs.at(-1 - which);
      const current = run === undefined ? 1 : Math.max(1, run.invocation.no);
      const ids = { runId: run?.runId ?? `${"0".repeat(29)}1`, invocation: invocation === 0 ? current : invocation };
      return { kind: "report", report: { ...ids, ...done } } as InboxRecord;
    };
  });

const wait = fc.record({
  ...{ no: count, event: name, path, value, if: condition, given: fc.option(bytes), deadlineMs: atMs, fromMs: anyMs },
});
const rule = fc.record({
  event: name,
  path,
  value,
  if: condition,
  given: fc.option(bytes),
  expiresAtMs: fc.option(anyMs),
});
const listen = anyBase.chain((of) =>
  record("listen", {
    ...{ base: pick(of), runId: runIdOf(of), trigger: fc.record({ id: eventId, name }), startedAtMs: anyMs },
    ...{ taken: fc.array(eventId, { maxLength: 3 }), keepFromMs: anyMs, wait: fc.option(wait) },
    ...{ rules: fc.array(rule, { maxLength: 3 }), source },
  }),
);
const unlisten = anyBase.chain((of) =>
  record("unlisten", {
    ...{
      base: pick(of),
      runId: fc.option(runIdOf(of)),
      no: fc.option(count),
      upTo: fc.integer({ min: -1, max: 60 }),
      source,
    },
  }),
);
const answer = fc.oneof(
  fc.record({ kind: pick("resolved"), no: count, eventId, payload: bytes, atMs: anyMs, fromLookback: fc.boolean() }),
  fc.record({ kind: pick("timedOut"), no: count }),
  fc.record({ kind: pick("cancelled"), eventId, eventName: name }),
  fc.record({ kind: pick("failed"), error: pick(error) }),
);
const answered = fc
  .tuple(answer, source, fc.nat(3), anyBase, fc.boolean())
  .map(([what, from, which, other, own]): Make => {
    return (s) => {
      const runId = own ? (s.runs.at(-1 - which)?.runId ?? other) : other;
      return { kind: "answer", base: baseOfRun(runId), runId, answer: what, source: from } as InboxRecord;
    };
  });
const announced = fc
  .tuple(event, anyBase, fc.nat(60), source, fc.boolean(), anyMs)
  .map(([make, of, at, from, goesAlong, when]): Make => {
    return (s) => {
      const { kind: _, origin: __, ...fields } = make(s) as InboxRecordOf<"event">;
      const along = goesAlong ? { ...fields, atMs: when, isStale: at > 9 } : null;
      return { kind: "announced", base: of, at, event: along, source: from } as InboxRecord;
    };
  });

const app = fc
  .record({
    version: fc.integer({ min: 1, max: 6 }),
    functions: configs,
    anchors: fc.constant<[string, string][]>([]),
    learned: fc.array(learned, { maxLength: 2 }),
    retired: fc.array(fc.record({ event: name, path, isListened: fc.boolean() }), { maxLength: 2 }),
    former: fc.tuple(configs, fc.integer({ min: 1, max: 6 })).map(([fns, until]) => fns.map((fn) => ({ fn, until }))),
  })
  .map((config) => ({ app: APP, digest: "x", ...config }) as RegisteredApp);
const anything = fc.oneof(
  { weight: 12, arbitrary: event },
  { weight: 12, arbitrary: report },
  { weight: 3, arbitrary: listen },
  { weight: 2, arbitrary: unlisten },
  { weight: 2, arbitrary: answered },
  { weight: 2, arbitrary: announced },
  record("learn", {
    app: pick(APP, "gone"),
    base: anyBase,
    wait: learned,
    settleMs: pick(0, 9_000),
    source,
  }),
  record("settled", { version: fc.nat(6), source }),
  record("register", { config: configs.map((functions) => ({ app: APP, functions })), settleMs: pick(0, 9_000) }),
  record("registered", {
    ...{ config: app, settleMs: pick(0, 9_000), source },
    news: fc.array(fc.record({ event: name, path }), { maxLength: 3 }),
  }),
  record("cancel", { runId: base, reason: pick("asked") }),
  record("delivered", { app: pick(APP, "gone"), mark: fc.record({ offset: fc.nat(60), index: count }) }),
  record("advance", { ms: pick(0, 1_000, HOUR) }),
  record("tick", {}),
  fc.nat(3).map((which): Make => {
    return (s) => ({ kind: "declined", runId: s.runs.at(-1 - which)?.runId ?? "", invocation: 1 });
  }),
  fc.nat(9).map((no): Make => {
    const running = (s: Scenario) => s.runs.map(({ runId }) => ({ runId, invocation: no + 1 }));
    return (s) => ({ kind: "heartbeat", app: APP, running: running(s) });
  }),
);
const after = pick(0, 1, 1_000, 61_000, HOUR);
/** Record, time since the one before, and whether (above 1) it is one that a partition of ours may have sent. */
const script = fc.array(fc.tuple(anything, after, fc.nat(9)), { maxLength: 40, size: "max" });
const place = pick(
  { partition: 0, partitions: 1 },
  ...[0, 1, 2].map((partition) => ({ partition, partitions: PARTITIONS })),
);

/** What an inbox holds, it holds as bytes. */
function throughLog(made: InboxRecord): InboxRecord {
  return decodeInbox(encodeInbox(made));
}

/** From a partition that is there, later than what it sent before, about a run that is where it says. */
function asSent(s: Scenario, made: InboxRecord, seed: number): InboxRecord {
  const { partition, partitions } = s.at;
  const from = { partition: seed % partitions, offset: 100 + s.nextOffset, index: 0 };
  if (made.kind === "event") return made.origin === null ? made : { ...made, origin: { ...made.origin, source: from } };
  if (!("source" in made)) return made;
  const there = { ...made, source: made.kind === "registered" ? { ...from, partition: 0 } : from } as InboxRecord;
  const guest = baseFor("cart", "added", seed % 2 === 0 ? "e1" : "e2", `s:${KEYS[(partition + 1) % partitions] ?? ""}`);
  const run = s.runs.at(-1 - (seed % 2));
  switch (there.kind) {
    case "listen":
    case "unlisten":
      return { ...there, base: guest, runId: `${guest}1` };
    case "answer": {
      if (run === undefined) return there;
      const no = run.pending.find((item) => item.kind === "foreignWait")?.no ?? 0;
      const about = "no" in there.answer ? { ...there.answer, no } : there.answer;
      return { ...there, base: baseOfRun(run.runId), runId: run.runId, answer: about };
    }
    case "announced":
      return run === undefined ? there : { ...there, base: baseOfRun(run.runId) };
    default:
      return there;
  }
}

function play(at: Scenario["at"], steps: readonly (readonly [Make, number, number])[]): Scenario {
  const s = new Scenario(FUNCTIONS, at);
  for (const [make, afterMs, honest] of steps) {
    const made = make(s);
    s.apply(throughLog(honest > 1 ? asSent(s, made, honest) : made), afterMs);
  }
  return s;
}

describe("any records", () => {
  it("throw nothing, and cause only what somebody can take", () => {
    fc.assert(
      fc.property(place, script, (at, steps) => {
        const s = play(at, steps);
        expectDerivedIndexes(s);
        for (const effect of s.effects) {
          if (effect.kind !== "AppendInbox") continue;
          expect(effect.partition).toBeLessThan(at.partitions);
          throughLog(effect.record);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("give the same rows and effects when they are played again (G7)", () => {
    fc.assert(
      fc.property(place, script, (at, steps) => {
        const one = play(at, steps);
        const two = new Scenario(FUNCTIONS, at);
        const from = two.log.length;
        let last = two.rawMs;
        for (const { record: same, rawMs } of one.log.slice(from)) {
          two.apply(same, rawMs - last);
          last = rawMs;
        }
        expect(two.rowBytes()).toEqual(one.rowBytes());
        expect(two.effects).toEqual(one.effects);
      }),
      { numRuns: 100 },
    );
  });
});
