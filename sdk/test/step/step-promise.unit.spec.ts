/** Who waits for a step's promise, as far as the language shows it. */
import { describe, expect, it } from "vitest";
import { Races, StepPromise } from "../../src/step/step-promise.js";

function promises() {
  const wantedAgain: string[] = [];
  const races = new Races(() => wantedAgain.push("again"));
  return { a: new StepPromise(races), b: new StepPromise(races), c: new StepPromise(races), wantedAgain };
}
const never = new Promise<never>(() => undefined);
/** What a test does with a promise beside looking at it. */
const forget = (promise: Promise<unknown>): void => void promise.catch(() => undefined);

describe("a step's promise", () => {
  it("is a promise like any other", async () => {
    const { a, b, c } = promises();
    expect([a instanceof Promise, a.constructor, Promise.resolve(a) === a]).toEqual([true, Promise, true]);
    expect(Object.getPrototypeOf(a.then(() => 1))).toBe(Promise.prototype);
    const seen: unknown[] = [];
    const all = [
      (async () => await a)(),
      (async () => a)(),
      Promise.all([a, Promise.resolve(1)]),
      Promise.race([a, never]),
      Promise.any([b, a]),
      Promise.allSettled([a, b]),
      new Promise((resolve) => resolve(a)),
      a.finally(() => seen.push("finally")),
      a.then(),
      b.catch((error: unknown) => (error as Error).message),
    ];
    b.fail(new Error("no"));
    a.fulfil("a");
    c.fail(new Error("nobody looks at it"));
    const settled = [
      { status: "fulfilled", value: "a" },
      { status: "rejected", reason: new Error("no") },
    ];
    expect(await Promise.all(all)).toEqual(["a", "a", ["a", 1], "a", "a", settled, "a", "a", "a", "no"]);
    expect(seen).toEqual(["finally"]);
    await expect(Promise.race([b])).rejects.toThrow("no");
    for await (const value of (async function* () {
      yield a;
    })())
      expect(value).toBe("a");
  });

  it("is neither wanted nor lost while nobody has asked", () => {
    const { a } = promises();
    expect([a.isWanted, a.isLost]).toEqual([false, false]);
    expect(a.constructor).toBe(Promise); // Somebody looks: who knows what for.
    expect([a.isWanted, a.isLost]).toEqual([true, false]);
  });

  it.each<[string, (a: StepPromise, b: StepPromise, c: StepPromise) => unknown, "fulfil" | "fail", boolean]>([
    ["a race that another won", (a, b) => Promise.race([a, b]), "fulfil", true],
    ["a race that another ended by its failure", (a, b) => Promise.race([a, b]), "fail", true],
    [
      "a race with what is no step's",
      (a, b) => Promise.race([never, a, 1 as never, b].slice(1, 2).concat(b)),
      "fulfil",
      true,
    ],
    ["a race that is still on", (a, _, c) => Promise.race([a, c]), "fulfil", false],
    ["any, when another was good", (a, b) => Promise.any([a, b]), "fulfil", true],
    ["any, when another was bad", (a, b) => Promise.any([a, b]), "fail", false],
    ["all, when another was good", (a, b) => Promise.all([a, b]), "fulfil", false],
    ["all, when another was bad", (a, b) => Promise.all([a, b]), "fail", true],
    ["allSettled", (a, b) => Promise.allSettled([a, b]), "fail", false],
    ["two races, both over", (a, b) => [Promise.race([a, b]), Promise.race([b, a])], "fulfil", true],
    ["two races, one still on", (a, b, c) => [Promise.race([a, b]), Promise.race([a, c])], "fulfil", false],
    ["a race twice over", (a, b) => Promise.race([a, b, a]), "fulfil", true],
    ["a race and await", (a, b) => [Promise.race([a, b]), (async () => await a)()], "fulfil", false],
    ["await and a race", (a, b) => [(async () => await a)(), Promise.race([a, b])], "fulfil", false],
    ["a race and then", (a, b) => [Promise.race([a, b]), a.then(() => 1)], "fulfil", false],
    ["a race and finally", (a, b) => [Promise.race([a, b]), a.finally(() => 1)], "fulfil", false],
    ["a race of an async function around it", (a, b) => Promise.race([(async () => await a)(), b]), "fulfil", false],
    ["a race of what follows it", (a, b) => Promise.race([a.then((x) => x), b]), "fulfil", false],
    ["a race in a race, when the outer is over", (a, b, c) => Promise.race([Promise.race([a, c]), b]), "fulfil", false],
    ["a race in a race, when the inner is over", (a, b, c) => Promise.race([Promise.race([a, b]), c]), "fulfil", true],
    ["the same callback twice", (a, b) => [a, b].map((p) => p.then(String)), "fulfil", false],
    [
      "the same bound callback twice",
      (a, b) => {
        const bound = ((x: unknown) => x).bind(null);
        return [a, b].map((p) => Promise.resolve(p).then(bound));
      },
      "fulfil",
      false,
    ],
    [
      "the same proxied callback twice",
      (a, b) => {
        const proxied = new Proxy((x: unknown) => x, {});
        Object.defineProperty(proxied, "name", { value: "" });
        return [a, b].map((p) => Promise.resolve(p).then(proxied));
      },
      "fulfil",
      false,
    ],
    [
      "a race made by hand beside await",
      (a, b) => [(async () => await a)(), new Promise((ok, no) => [a, b].map((p) => void p.then(ok, no)))],
      "fulfil",
      false,
    ],
  ])("in %s", async (_, use, end, isLost) => {
    const { a, b, c } = promises();
    for (const result of [use(a, b, c)].flat()) if (result instanceof Promise) forget(result);
    if (end === "fulfil") b.fulfil(1);
    else b.fail(new Error("b"));
    expect([a.isLost, a.isWanted]).toEqual([isLost, !isLost]);
    a.fulfil(2);
    c.fulfil(3);
    await Promise.all([a, c]);
  });

  it("is lost at once in a race that is over when it begins", () => {
    const { a, b, c } = promises();
    b.fulfil(1);
    forget(Promise.race([a, b]));
    expect(a.isLost).toBe(true);
    c.fail(new Error("c"));
    const { a: other } = promises();
    forget(Promise.race([other, c]));
    expect(other.isLost).toBe(false); // Of another session: not known.
  });

  it("tells when somebody waits for it again", () => {
    const { a, b, wantedAgain } = promises();
    forget(Promise.race([a, b]));
    b.fulfil(1);
    forget(Promise.race([a, b]));
    expect([a.isLost, wantedAgain.length > 0]).toEqual([true, true]); // One look too many is harmless.
    wantedAgain.length = 0;
    forget((async () => await a)());
    expect([a.isLost, wantedAgain]).toEqual([false, ["again"]]);
  });
});
