import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decodeRegistry } from "@eddy/schemas";
import { agreeOnNamespace } from "../../src/world/namespace-entry.js";
import { ClosedError, ConfigError, TransientError } from "../../../clients/src/errors/codes.js";
import { RegistryView, type Namespace } from "../../../clients/src/registry/registry-view.js";
import { PARTITIONS, recordsOf, TOPICS, until, world, type World } from "../gateway/fixtures.js";

const WANTED = { partitions: PARTITIONS, dev: false, settleMs: 20_000 };

describe("the entry of a namespace", () => {
  let w: World;
  let views: RegistryView[];
  let closing: AbortController;
  beforeEach(async () => {
    w = await world();
    closing = new AbortController();
    views = [];
  });
  afterEach(async () => {
    await Promise.all(views.map((view) => view.close()));
    await w.close();
  });

  /** As an engine does at its start; time goes on meanwhile. */
  async function engine(namespace: Namespace): Promise<unknown> {
    const topic = TOPICS.registry;
    const registry = new RegistryView({ ...w, topic, partitions: namespace.partitions });
    views.push(registry);
    await registry.start();
    return agreeOnNamespace({ ...w, topic, registry, name: "shop", signal: closing.signal }, namespace);
  }
  async function outcome(agreeing: Promise<unknown>): Promise<unknown> {
    let settled: { readonly error: unknown } | null = null;
    void agreeing.then(
      () => (settled = { error: null }),
      (error: unknown) => (settled = { error }),
    );
    await until("agreed, or not", () => {
      w.clock.advance(10);
      return settled !== null;
    });
    return (settled as unknown as { readonly error: unknown }).error;
  }
  const entries = async (): Promise<unknown[]> =>
    (await recordsOf(w.log, TOPICS.registry, 0)).map(({ value }) => decodeRegistry(value as Uint8Array));

  it("is written by the first engine, and by none that comes later", async () => {
    expect(await outcome(engine(WANTED))).toBeNull();
    expect(await outcome(engine(WANTED))).toBeNull();
    expect(await entries()).toEqual([{ kind: "namespace", ...WANTED }]);
  });

  it.each([
    [{ ...WANTED, dev: true }, /dev: false, this engine has partitions: 4 and dev: true/],
    [{ ...WANTED, partitions: 8 }, /made with partitions: 4 .* this engine has partitions: 8/],
  ])("refuses an engine that is configured otherwise: %j", async (other, said) => {
    expect(await outcome(engine(WANTED))).toBeNull();
    const error = await outcome(engine(other));
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(said);
    expect((error as Error).message).toContain("namespace shop");
    expect(await entries()).toHaveLength(1);
  });

  it("is not asked for another settle time by those who come later: they go by the first one's", async () => {
    expect(await outcome(engine(WANTED))).toBeNull();
    expect(await outcome(engine({ ...WANTED, settleMs: 300 }))).toBeNull();
    expect(views.map((view) => view.settleMs)).toEqual([20_000, 20_000]);
    expect(await entries()).toHaveLength(1);
  });

  it("has the first one's settle time where two engines write at once, also once the log was compacted", async () => {
    const outcomes = await Promise.all([outcome(engine(WANTED)), outcome(engine({ ...WANTED, settleMs: 300 }))]);
    expect(outcomes).toEqual([null, null]);
    const all = await entries();
    expect(all).toHaveLength(3);
    expect(all.at(-1)).toEqual(all[0]);
    expect(new Set(views.map((view) => view.settleMs)).size).toBe(1);
  });

  it("is the first one's where two engines write at once, also once the log was compacted", async () => {
    const outcomes = await Promise.all([outcome(engine(WANTED)), outcome(engine({ ...WANTED, dev: true }))]);
    expect(outcomes.filter((error) => error === null)).toHaveLength(1);
    expect(outcomes.filter((error) => error instanceof ConfigError)).toHaveLength(1);
    const all = await entries();
    expect(all).toHaveLength(3);
    expect(all.at(-1)).toEqual(all[0]);
  });

  it("is not waited for by an engine that closes", async () => {
    const registry = new RegistryView({ ...w, topic: TOPICS.registry, partitions: PARTITIONS });
    closing.abort();
    const deps = { ...w, topic: TOPICS.registry, registry, name: "shop", signal: closing.signal };
    expect(await outcome(agreeOnNamespace(deps, WANTED))).toBeInstanceOf(ClosedError);
  });

  it("is left to a later try where the log does not answer", async () => {
    w.log.beforeAppend = () => {
      throw new TransientError("no answer");
    };
    expect(await outcome(engine(WANTED))).toBeInstanceOf(TransientError);
    w.log.beforeAppend = () => undefined;
    expect(await outcome(engine(WANTED))).toBeNull();
  });
});
