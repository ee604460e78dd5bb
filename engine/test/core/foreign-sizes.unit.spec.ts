/**
 * What passes between partitions, and what guests leave, at its largest: nothing exceeds LIMITS.recordBytesMax, or its
 * partition would stop (G8).
 */
import {
  appConfig,
  BROKER_SKEW_MS,
  LIMITS,
  type ForeignWait,
  type FunctionConfig,
  type InboxRecord,
} from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import type { Row } from "../../src/core/index.js";
import { Cluster, keyOn } from "./cluster.js";
import { big, Scale, wide } from "./scale.js";
import { APP, baseFor, fn, HOUR, json, Scenario, waitOp } from "./scenario.js";

const NEAR = keyOn(0, 2, "near");
const FAR = keyOn(1, 2, "far");
const { recordBytesMax, givenBytesMax } = LIMITS;
const TIMEOUT_MS = 60_000;

/** A condition of the greatest length that reads all that the trigger has under `event.data.large`. */
function long(no = 0): string {
  const head = `async.data.far == event.data.far && event.data.large != "${String(no).padStart(4, "0")}`;
  return `${head}${"x".repeat(LIMITS.conditionCharsMax - head.length - 1)}"`;
}

/** Numbers grow when they are written again: 1e20 has 21 digits. */
function growing(bytes: number): Uint8Array {
  const head = `{"id":"e1","name":"begin","ts":0,"data":{"near":"${NEAR}","far":"${FAR}","large":[1`;
  return new TextEncoder().encode(`${head}${",1e20".repeat((bytes - head.length - 4) / 5)}]}}`);
}

function expectSmall(c: Cluster): void {
  for (const s of c.partitions) expect(new Scale(s).largest()).toBeLessThanOrEqual(recordBytesMax);
}

function clusterOf(functions: readonly FunctionConfig[]): Cluster {
  const c = new Cluster(2);
  c.register(functions);
  c.deliver();
  c.pass(1);
  c.deliver();
  return c;
}

const lives = [{ event: "begin", match: "data.near" }];
const rules = Array.from({ length: LIMITS.cancelRulesPerFunctionMax - 1 }, (_, no) => ({
  event: "left",
  if: long(no),
}));

describe("a run that listens elsewhere", { timeout: TIMEOUT_MS }, () => {
  const begin = (c: Cluster, large: string, more: object = {}): void => {
    c.send("begin", { near: NEAR, far: FAR, large }, { id: wide(256), ...more });
    c.deliver();
  };

  it("has rules whose conditions read as much of the trigger as they may", () => {
    const c = clusterOf([fn({ id: "r", triggers: [{ event: "begin" }], cancelOn: [...lives, ...rules] })]);
    begin(c, "x".repeat(givenBytesMax - 200));
    const guest = [...c.at(1).world.rows].find(([key]) => key.startsWith("g|"))?.[1] as Row<"guest">;
    expect(guest.subscriptions[0]?.rules).toHaveLength(rules.length);
    expectSmall(c);
  });

  it("is told to be too demanding where they read more, by whoever hears it first", () => {
    const c = clusterOf([fn({ id: "r", triggers: [{ event: "begin" }], cancelOn: [...lives, ...rules] })]);
    const [[home, first] = []] = c.copies("begin", { near: NEAR, far: FAR }, { id: "e1" });
    c.apply(home as number, { ...first, payload: growing(LIMITS.eventBytesMax) } as InboxRecord);
    c.deliver();
    expect(c.of("runFailed")).toHaveLength(1);
    expectSmall(c);
    expect(c.leftovers()).toEqual([]);
  });

  it("tells rules of any size where its sender did not know the function", () => {
    const c = clusterOf([fn({ id: "r", triggers: [{ event: "begin" }], cancelOn: [...lives, ...rules] })]);
    begin(c, "x".repeat(givenBytesMax - 200), { stale: true });
    expect(c.of("runStarted")).toHaveLength(1);
    expectSmall(c);
  });

  it("has as many waits elsewhere as steps, with all that their conditions read, or fails", () => {
    const c = clusterOf([
      fn({ id: "w", triggers: [{ event: "begin" }], cancelOn: lives, waits: [{ event: "go", if: long() }] }),
    ]);
    begin(c, "x".repeat(givenBytesMax - 200));
    const request = c.request();
    const ops = Array.from({ length: LIMITS.stepsPerRunMax }, (_, no) =>
      waitOp(request, wide(256, no), "go", { if: long(no) }, HOUR),
    );
    c.report(request, ops);
    c.deliver();
    expectSmall(c);
    expect(c.of("runFailed")).toMatchObject([{ error: { name: "RunStateTooLargeError" } }]);
    expect(c.leftovers()).toEqual([]);
  });

  it("fails where a wait reads more of the trigger than it may", () => {
    const c = clusterOf([fn({ id: "w", triggers: [{ event: "begin" }], cancelOn: lives })]);
    begin(c, "x".repeat(givenBytesMax + 1));
    const request = c.request();
    c.report(request, [waitOp(request, "w", "go", { if: long() }, HOUR)]);
    c.deliver();
    expect(c.of("runFailed")).toHaveLength(1);
    expectSmall(c);
    expect(c.leftovers()).toEqual([]);
  });

  it("takes hundreds of events there, of the longest ids, and says so", () => {
    const c = clusterOf([
      fn({ id: "w", triggers: [{ event: "begin" }], cancelOn: lives, waits: [{ event: "go", match: "data.far" }] }),
    ]);
    begin(c, "");
    const first = c.request();
    const events = 200;
    for (let no = 0; no < events; no++) {
      c.report(c.request(), [waitOp(first, `w${no}`, "go", "data.far", HOUR)]);
      c.deliver();
      c.send("go", { far: FAR }, { id: wide(256, no) });
      c.deliver();
    }
    expect(c.of("waitResolved")).toHaveLength(events);
    expectSmall(c);
    c.report(c.request(), [waitOp(first, "last", "go", "data.far", HOUR)]);
    const told = c.posted.flatMap(({ record }) => (record.kind === "listen" ? [record] : []));
    expect(told[0]?.taken).toHaveLength(events);
  });

  it("gets an event of the greatest size and value, and one that comes along with its announcement", () => {
    const P = 3;
    const c = new Cluster(P);
    const all = [
      { event: "go", match: "data.k2" },
      { event: "go", match: "data.k0" },
    ];
    c.register([
      fn({ id: "w", triggers: [{ event: "begin" }], cancelOn: [{ event: "begin", match: "data.k1" }], waits: all }),
    ]);
    c.deliver();
    const data = { k0: keyOn(0, P, wide(300_000)), k1: keyOn(1, P), k2: keyOn(2, P) };
    const copies = c.copies("begin", data);
    const padded = (record: InboxRecord): InboxRecord => {
      if (record.kind !== "event") return record;
      const room = LIMITS.eventBytesMax - record.payload.length - 20;
      const body = JSON.parse(new TextDecoder().decode(record.payload)) as object;
      return { ...record, payload: json({ ...body, pad: "p".repeat(room) }) };
    };
    for (const partition of [2, 0, 1]) c.apply(partition, padded(copies.get(partition) as InboxRecord));
    expect(c.posted.some(({ record }) => record.kind === "announced" && record.event !== null)).toBe(true);
    c.deliver();
    const request = c.request();
    c.report(request, [waitOp(request, "w", "go", "data.k0", HOUR)]);
    c.deliver();
    for (const [partition, record] of c.copies("go", { k0: data.k0 })) c.apply(partition, padded(record));
    c.deliver();
    expect(c.of("waitResolved")).toHaveLength(1);
    expectSmall(c);
  });
});

describe("a guest", { timeout: TIMEOUT_MS }, () => {
  it("does not grow with the lives of its run: rules that are over go", () => {
    const far = { event: "left", match: "data.far", timeout: { ms: 25 * HOUR } };
    const c = clusterOf([fn({ id: "r", triggers: [{ event: "begin" }], cancelOn: [...lives, far] })]);
    for (let life = 0; life < 5; life++) {
      const copies = c.copies("begin", { near: NEAR, far: FAR }, { id: "e1" });
      c.apply(1, copies.get(1) as InboxRecord); // Nobody answers: the run's partition is far behind.
      c.pass(26 * HOUR);
    }
    const guest = [...c.at(1).world.rows].find(([key]) => key.startsWith("g|"))?.[1] as Row<"guest">;
    expect(guest.subscriptions[0]?.rules.length).toBeLessThanOrEqual(2);
  });

  it("that hears a thousand taken ids and a wait of the greatest size is one small record", () => {
    const s = new Scenario([fn({ id: "x" })], { partition: 1, partitions: 2 });
    const base = baseFor("w", "begin", "e1", `s:${NEAR}`);
    const wait: ForeignWait = {
      ...{ no: 1, event: wide(256), path: "data.far", value: `s:${"v".repeat(LIMITS.eventBytesMax)}`, if: long() },
      ...{ given: big(givenBytesMax), deadlineMs: s.nowMs + HOUR, fromMs: s.nowMs - BROKER_SKEW_MS },
    };
    s.apply({
      ...{ kind: "listen", base, runId: `${base}1`, trigger: { id: wide(256), name: wide(256) }, startedAtMs: s.nowMs },
      ...{ taken: Array.from({ length: LIMITS.stepsPerRunMax }, (_, no) => wide(256, no)), keepFromMs: s.nowMs },
      ...{ wait, rules: [], source: { partition: 0, offset: 9, index: 0 } },
    });
    expect([...s.world.rows.keys()].filter((key) => key.startsWith("g|"))).toHaveLength(1);
    expect(new Scale(s).largest()).toBeLessThan(recordBytesMax / 4);
  });

  it("keeps a thousand events there, each in a row of its own", () => {
    const c = clusterOf([
      fn({ id: "w", triggers: [{ event: "begin" }], cancelOn: lives, waits: [{ event: "go", match: "data.far" }] }),
    ]);
    c.send("begin", { near: NEAR, far: FAR });
    c.deliver();
    for (let no = 0; no <= LIMITS.keptEventsMax; no++) c.send("go", { far: FAR }, { id: wide(256, no) });
    const kept = [...c.at(1).world.rows.keys()].filter((key) => key.startsWith("e|"));
    expect(kept).toHaveLength(LIMITS.keptEventsMax);
    expect(new Scale(c.at(1)).largest()).toBeLessThan(LIMITS.eventBytesMax);
  });
});

describe("registrations", { timeout: TIMEOUT_MS }, () => {
  const name = (no: number): string => wide(256, no);
  /** Waits for `count` events that no other has. */
  const waiting = (id: string, from: number, count: number): FunctionConfig =>
    fn({
      id,
      triggers: [{ event: "begin" }],
      waits: Array.from({ length: count }, (_, i) => ({ event: name(from + i), match: "d" })),
    });
  const register = (s: Scenario, functions: FunctionConfig[], settleMs: number): void => {
    s.apply({ kind: "register", config: appConfig.parse({ app: APP, functions }), settleMs });
  };

  it("fit with all that is new in them, with what was retired and learned, or are refused", () => {
    const s = new Scenario([], { partition: 0, partitions: 2 });
    for (let n = 0; n < 4; n++) {
      const functions = Array.from({ length: 60 }, (_, f) => waiting(`f${n}x${f}`, 10_000 * n + 50 * f, 50));
      register(s, functions, 0);
      expect(new Scale(s).largest()).toBeLessThanOrEqual(recordBytesMax);
    }
    expect(s.rejections).toContain("REGISTRY_FULL");
  });

  it("leave a small partition row, however many are not settled, and settle in the end", () => {
    const s = new Scenario([]);
    for (let n = 0; n < 20; n++) {
      register(
        s,
        Array.from({ length: 20 }, (_, f) => waiting(`f${f}`, 10_000 * n + 50 * f, 50)),
        HOUR,
      );
    }
    const settling = (): Row<"partition">["settling"] => (s.world.get("p" as never) as Row<"partition">).settling;
    expect(settling().length).toBeGreaterThan(1);
    expect(new Scale(s).largest()).toBeLessThanOrEqual(recordBytesMax);
    const from = s.effects.length;
    s.tick(HOUR);
    const sent = s.effects.slice(from).flatMap((e) => (e.kind === "AppendInbox" ? [e.record] : []));
    for (const record of sent) s.apply(record);
    expect(settling()).toEqual([]);
  });

  it("are refused where events of one name would carry too many values", () => {
    const s = new Scenario([], { partition: 0, partitions: 2 });
    const path = (f: number, w: number): string => `data.${"p".repeat(200)}.k${f}x${w}`;
    const paths = (f: number) => Array.from({ length: 50 }, (_, w) => ({ event: "x", match: path(f, w) }));
    for (let f = 0; s.rejections.length === 0 && f < 330; f += 5) {
      const functions = Array.from({ length: f + 5 }, (_, no) => fn({ id: `f${no}`, waits: paths(no) }));
      register(s, functions, 0);
    }
    expect(s.rejections).toEqual(["REGISTRY_FULL"]);
    const values = Object.fromEntries(
      Array.from({ length: 330 * 50 }, (_, i) => [`k${Math.floor(i / 50)}x${i % 50}`, i]),
    );
    s.send("x", { ["p".repeat(200)]: values });
    expect(new Scale(s).largest()).toBeLessThanOrEqual(recordBytesMax);
  });
});
