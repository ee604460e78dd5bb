/** Payloads that leave the app sealed, and come back open: on the real engine, in memory. */
import { randomBytes } from "node:crypto";
import { MemoryEngine } from "@eddy/engine/testing";
import { encodeFrame, type StepReport, type StepRequest } from "@eddy/schemas";
import { afterEach, describe, expect, it, vi } from "vitest";
import { aes256Gcm, DefinitionError, Eddy, NonRetriableError } from "../../src/index.js";
import { SealingTransport } from "../../src/sealing/sealing-transport.js";
import { contextOfStep, Sealing } from "../../src/sealing/sealing.js";
import { testEngine, type TestEngine } from "../../src/testing/index.js";
import type { TransportHandlers, WorkerTransport } from "../../src/worker/transport.js";
import { memoryLogger } from "../manual-clock.js";

const KEYS = { old: randomBytes(32).toString("base64"), next: randomBytes(32) };
const oldRing = aes256Gcm({ current: "old", keys: { old: KEYS.old } });
const bothRings = aes256Gcm({ current: "next", keys: KEYS });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (data: Uint8Array): string => Buffer.from(data).toString();

describe("aes256Gcm", () => {
  it("opens what it has sealed, each time another text", () => {
    const [a, b] = [oldRing.seal(bytes("x"), "c"), oldRing.seal(bytes("x"), "c")];
    expect(a.key).toBe("old");
    expect(a.data).not.toEqual(b.data);
    expect(textOf(oldRing.open(a, "c"))).toBe("x");
  });

  it("seals by the current key and opens by any", () => {
    const sealed = oldRing.seal(bytes("x"), "c");
    expect(textOf(bothRings.open(sealed, "c"))).toBe("x");
    expect(bothRings.seal(bytes("x"), "c").key).toBe("next");
    expect(() => oldRing.open(bothRings.seal(bytes("x"), "c"), "c")).toThrow(/no key "next"/);
  });

  it("opens nothing that was changed, cut, or is of something else", () => {
    const sealed = oldRing.seal(bytes("secret"), "step r a");
    for (let at = 0; at < sealed.data.length; at += 1) {
      const data = Uint8Array.from(sealed.data, (byte, i) => (i === at ? byte ^ 1 : byte));
      expect(() => oldRing.open({ ...sealed, data }, "step r a")).toThrow();
      expect(() => oldRing.open({ ...sealed, data: sealed.data.subarray(0, at) }, "step r a")).toThrow();
    }
    expect(() => oldRing.open(sealed, "step r b")).toThrow();
  });

  it("refuses keys that are none, and says nothing of them", () => {
    for (const [current, keys] of [
      ["a", { a: "c2hvcnQ=" }],
      ["a", {}],
      ["a:b", { "a:b": KEYS.old }],
    ] as const) {
      expect(() => aes256Gcm({ current, keys })).toThrow(DefinitionError);
      expect(() => aes256Gcm({ current, keys })).not.toThrow(/c2hvcnQ/);
    }
  });
});

describe("a new key", () => {
  const order = { name: "order/placed", id: "e1", data: { order: 1, mail: "x" }, user: { mail: "x" } };
  const before = new Sealing({ cipher: oldRing, clear: ["data.order", "user.country", "data.cart.id"] });
  const after = new Sealing({ cipher: bothRings });

  it("opens what was sealed by the old one, and leaves alone what was not sealed", () => {
    const sealed = before.sealEvent(order);
    expect(Object.keys(sealed.data)).toEqual(["order", "eddy/sealed"]);
    expect(sealed).not.toHaveProperty("user");
    expect(after.openedEvent(sealed)).toEqual(order);
    expect(after.openedEvent(order)).toBe(order);
    expect(after.openValue(before.sealValue(bytes("[1]"), "c"), "c")).toEqual(Buffer.from("[1]"));
    expect(after.openValue(bytes('{"a":1}'), "c")).toEqual(bytes('{"a":1}'));
    const error = { name: "E", message: "m", stack: null };
    expect(after.openError(before.sealError(error, "c"), "c")).toEqual(error);
    expect(after.openError(error, "c")).toBe(error);
  });

  it("believes the sealed fields, not those that are clear beside them", () => {
    const sealed = before.sealEvent(order);
    const forged = { ...sealed, data: { ...sealed.data, order: 2 } };
    expect(after.openedEvent(forged).data.order).toBe(1);
    expect(() => after.openedEvent({ ...sealed, id: "e2" })).toThrow();
  });

  it("seals the longest errors that there may be", () => {
    const text = "\u0000".repeat(65_536);
    const { message } = before.sealError({ name: "E", message: text, stack: text }, "c");
    expect(message.length).toBeLessThanOrEqual(65_536);
  });
});

describe("an app whose payloads are sealed", () => {
  const SECRET = "ada@example.org";
  let t: TestEngine;
  afterEach(async () => {
    vi.restoreAllMocks();
    await t.close();
  });

  /** Everything that is given to the engine, as text. */
  function listen(): () => string {
    const given: string[] = [];
    const note = (value: unknown): void =>
      void given.push(JSON.stringify(value, (_, v: unknown) => (v instanceof Uint8Array ? textOf(v) : v)));
    for (const method of ["send", "report"] as const) {
      const original = MemoryEngine.prototype[method] as (...args: readonly unknown[]) => unknown;
      vi.spyOn(MemoryEngine.prototype, method).mockImplementation(function (this: MemoryEngine, ...args: unknown[]) {
        note(args);
        return original.apply(this, args) as never;
      });
    }
    return () => given.join("\n");
  }

  function shop(cipher = oldRing) {
    const client = new Eddy({
      id: "shop",
      baseUrl: "http://127.0.0.1:9",
      encryption: { cipher, clear: ["data.order"] },
    });
    const flow = client.createFunction(
      { id: "flow", retries: 1, triggers: [{ event: "order/placed" }] },
      async ({ event, step }) => {
        const mail = await step.run("mail", () => event.data.mail as string);
        await step.sendEvent("tell", { name: "order/told", data: { order: event.data.order, mail } });
        const paid = await step.waitForEvent("paid", { event: "order/paid", match: "data.order", timeout: "1h" });
        const tried = await step
          .run("charge", () => {
            throw new NonRetriableError(`no card of ${mail}`);
          })
          .catch((error: unknown) => (error as Error).message);
        return { mail, by: (paid?.data as { by?: string } | undefined)?.by, tried, user: event.user };
      },
    );
    const fail = client.createFunction({ id: "fail", retries: 0, triggers: [{ event: "fail" }] }, ({ event }) => {
      throw new Error(`of ${String(event.data.mail)}`);
    });
    return { client, functions: [flow, fail] };
  }

  it("goes on as ever, and the engine sees nothing but what is clear", async () => {
    const given = listen();
    t = await testEngine(shop());
    const { runs } = await t.send({ name: "order/placed", data: { order: 7, mail: SECRET }, user: { mail: SECRET } });
    await t.send({ name: "order/paid", data: { order: 8, by: "nobody" } });
    expect((await t.run(runs[0])).waits).toHaveLength(1);
    await t.send({ name: "order/paid", data: { order: 7, by: SECRET } });
    const run = await t.run(runs[0]);
    expect(run).toMatchObject({ status: "Completed", error: null });
    expect(run.output).toEqual({ mail: SECRET, by: SECRET, tried: `no card of ${SECRET}`, user: { mail: SECRET } });
    expect(run.steps.map(({ id, output, error }) => [id, output as unknown, error?.message ?? null])).toMatchObject([
      ["mail", SECRET, null],
      ["tell", { ids: [expect.any(String)] }, null],
      ["paid", { data: { order: 7, by: SECRET } }, null],
      ["charge", null, `no card of ${SECRET}`],
    ]);
    const { runs: failed } = await t.send({ name: "fail", data: { mail: SECRET } });
    expect((await t.run(failed[0])).error).toMatchObject({ name: "Error", message: `of ${SECRET}` });
    expect(given()).toContain('"order":7');
    expect(given()).toContain("eddy/sealed");
    expect(given()).not.toContain(SECRET);
  });

  it("is refused with a path that no engine could read", () => {
    const encryption = { cipher: oldRing, clear: ["cart_id"] };
    expect(() => new Eddy({ id: "shop", encryption })).toThrow(
      /encryption: clear: expected paths such as data\.cart_id/,
    );
  });
});

describe("a run whose payloads do not open", () => {
  it("is not entered, its slot is freed, and the log says so", async () => {
    const done: string[] = [];
    let handlers: TransportHandlers | null = null;
    const logger = memoryLogger();
    const inner: WorkerTransport = {
      start: (_, given) => ((handlers = given), Promise.resolve()),
      report: (report: StepReport) => (
        done.push(textOf(encodeFrame({ kind: "report", seq: 1, report }))),
        Promise.resolve()
      ),
      heartbeat: () => Promise.resolve(),
      needState: () => Promise.resolve(null),
      release: ({ runId, invocation }) => void done.push(`release ${runId} ${invocation}`),
      drain: () => undefined,
      close: () => Promise.resolve(),
    };
    const transport = new SealingTransport(inner, new Sealing({ cipher: oldRing }), logger);
    const entered: string[] = [];
    const nothing = (): void => undefined;
    await transport.start(
      { workerId: "w", config: { app: "shop", functions: [] }, slots: 1 },
      {
        onRequest: ({ runId }) => void entered.push(runId),
        onAbort: nothing,
        onConnected: nothing,
        onDisconnected: nothing,
      },
    );
    const theirs = new Sealing({ cipher: bothRings }).sealValue(bytes('"x"'), contextOfStep("r1", "a"));
    const entry = { stepId: "a", kind: "run", data: theirs, error: null, invocation: 1 } as const;
    const request: StepRequest = {
      ...{ app: "shop", functionId: "shop/f", runId: "r1", invocation: 3, attempt: 0, maxAttempts: 1 },
      ...{ stepAttempts: [], event: null, memo: [entry], memoTotal: 1 },
    };
    (handlers as TransportHandlers | null)?.onRequest(request);
    expect(entered).toEqual([]);
    expect(done).toEqual(["release r1 3"]);
    expect(logger.lines.join()).toContain("cannot be opened");
  });
});
