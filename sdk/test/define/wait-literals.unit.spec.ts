import { describe, expect, it } from "vitest";
import ts from "typescript";
import { findWaits } from "../../src/define/wait-literals.js";

const wait = (event: string, listens: object = {}) => ({
  event,
  match: null,
  if: null,
  since: "mark",
  isNamed: true,
  ...listens,
});
const CART = wait("cart/purchased", { match: "data.cart_id" });
const OPTIONS = `{ event: "cart/purchased", timeout: "24h", match: "data.cart_id" }`;
const CALL = `await step.waitForEvent("w", ${OPTIONS});`;

describe("waits are found in", () => {
  it.each([
    ["an async arrow function", `async ({ event, step }) => { ${CALL} }`],
    ["an arrow function with an expression", `({ step }) => step.waitForEvent("w", ${OPTIONS})`],
    ["an async function", `async function flow({ step }) { ${CALL} }`],
    ["an anonymous function", `async function ({ step }) { ${CALL} }`],
    ["a method", `async handler({ step }) { ${CALL} }`],
    ["a method with a computed name", `async ["handler"]({ step }) { ${CALL} }`],
    ["a method of a class with private fields", `async handler({ step }) { this.#seen = 1; ${CALL} }`],
    ["a method that calls super", `async handler(ctx) { const { step } = ctx; super.handler(ctx); ${CALL} }`],
    ["a static method", `static async handler({ step }) { ${CALL} }`],
    [
      "a generator, as older targets make of async",
      `function* ({ step }) { yield step.waitForEvent("w", ${OPTIONS}); }`,
    ],
    ["a context that is not destructured", `async (ctx) => { await ctx.step.waitForEvent("w", ${OPTIONS}); }`],
    ["a destructured waitForEvent", `async ({ step: { waitForEvent } }) => { await waitForEvent("w", ${OPTIONS}); }`],
    ["a wait with undefined options", `({ step }) => step.waitForEvent("w", { if: undefined, ${OPTIONS.slice(2)})`],
    ["a renamed waitForEvent", `async ({ step: { waitForEvent: w } }) => { await w("w", ${OPTIONS}); }`],
    ["an alias", `async ({ step }) => { const w = step.waitForEvent; await w("w", ${OPTIONS}); }`],
    ["an optional chain", `async ({ step }) => { await step?.waitForEvent?.("w", ${OPTIONS}); }`],
    ["a computed member", `async ({ step }) => { await step["waitForEvent"]("w", ${OPTIONS}); }`],
    ["a computed member in a template", "async ({ step }) => { await step[`waitForEvent`]('w', " + OPTIONS + "); }"],
    ["a call through a comma", `async ({ step }) => { await (0, step.waitForEvent)("w", ${OPTIONS}); }`],
    ["quoted keys", `({ step }) => step.waitForEvent("w", { "event": "cart/purchased", ["match"]: "data.cart_id" })`],
    [
      "templates without expressions",
      "({ step }) => step.waitForEvent('w', { event: `cart/purchased`, match: `data.cart_id` })",
    ],
    ["options in a constant", `async ({ step }) => { const o = ${OPTIONS}; await step.waitForEvent("w", o); }`],
    [
      "values in constants",
      `({ step }) => {
        const e = "cart/purchased", m = "data.cart_id", f = e;
        return step.waitForEvent("w", { event: f, match: m });
      }`,
    ],
    [
      "an eventType made in place",
      `({ step }) => step.waitForEvent("w", {
        event: eventType("cart/purchased", { schema: z.any() }), match: "data.cart_id" })`,
    ],
    [
      "an eventType of an import",
      `({ step }) => step.waitForEvent("w", { event: (0, sdk_1.eventType)("cart/purchased"), match: "data.cart_id" })`,
    ],
    [
      "an eventType in a constant",
      `({ step }) => {
        const t = eventType("cart/purchased");
        return step.waitForEvent("w", { event: t, match: "data.cart_id" });
      }`,
    ],
    [
      "the name of an eventType",
      `({ step }) => {
        const t = eventType("cart/purchased");
        return step.waitForEvent("w", { event: t.name, match: "data.cart_id" });
      }`,
    ],
    [
      "a nested function",
      `async ({ step }) => {
        const wait = () => step.waitForEvent("w", ${OPTIONS});
        await Promise.all([1, 2].map(wait));
      }`,
    ],
    [
      "code that coverage tools wrap",
      `async ({ step }) => { cov_1().f[0]++; const x = (cov_1().s[0]++, await step.waitForEvent("w", ${OPTIONS})); }`,
    ],
    [
      "code that bundlers minify",
      `async({step:e})=>{let t=await e.waitForEvent("w",${OPTIONS.replaceAll(" ", "")});t||await e.run("x",()=>1)}`,
    ],
    [
      "the last of repeated keys",
      `({ step }) => step.waitForEvent("w", { event: "a", match: "b", ${OPTIONS.slice(2)})`,
    ],
  ])("%s", (_, source) => {
    const { waits, unread } = findWaits(source);
    expect([waits.map((found) => ({ ...found, isNamed: true })), unread]).toEqual([[CART], 0]);
  });

  it.each<[string, string, object]>([
    ["a condition", `{ event: "x", timeout: 1, if: "async.data.n > 1" }`, { if: "async.data.n > 1" }],
    [
      "a condition over two lines",
      "{ event: 'x', if: `async.a == 1\n&& async.b == 2` }",
      { if: "async.a == 1\n&& async.b == 2" },
    ],
    ["a condition in a constant", `{ event: "x", if: c }`, { if: "async.data.ok" }],
    ["no condition and no match", `{ event: "x", timeout: 1 }`, {}],
    ["no condition and no match, said so", `{ event: "x", timeout: 1, match: undefined, if: undefined }`, {}],
    ["since", `{ event: "x", timeout: 1, match: "id", since: "trigger" }`, { match: "id", since: "trigger" }],
    ["a timeout that is computed", `{ event: "x", timeout: 24 * hours, match: "id" }`, { match: "id" }],
  ])("with %s", (_, options, expected) => {
    const source = `({ step }) => { const c = "async.data.ok"; return step.waitForEvent("w", ${options}); }`;
    expect(findWaits(source)).toEqual({ waits: [wait("x", expected)], unread: 0 });
  });

  it("tells those that only look so", () => {
    const source = `({ step: { waitForEvent: w } }) => w("w", { event: "x", if: "async.n > 1", timeout: 1 })`;
    expect(findWaits(source).waits).toEqual([wait("x", { if: "async.n > 1", isNamed: false })]);
  });

  it.each([ts.ScriptTarget.ES2015, ts.ScriptTarget.ES2017, ts.ScriptTarget.ESNext])(
    "what TypeScript emits for target %s",
    (target) => {
      const source = `export const flow = async ({ event, step }: any) => {
        const bought = await step.waitForEvent("w", ${OPTIONS});
        const { waitForEvent } = step;
        if (bought === null) await waitForEvent("v", { event: \`cart/\${"x"}\`, match: "data.cart_id", timeout: 1 });
      };`;
      const { outputText } = ts.transpileModule(source, {
        compilerOptions: { target, module: ts.ModuleKind.CommonJS, ignoreDeprecations: "6.0" },
      });
      const module: { exports: { flow?: unknown } } = { exports: {} };
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- runs what the compiler made of the text above
      new Function("exports", outputText)(module.exports);
      expect(findWaits(String(module.exports.flow))).toEqual({ waits: [CART], unread: 1 });
    },
  );

  it("several places, each once", () => {
    const other = `await step.waitForEvent("v", { event: "b", match: "user.id", timeout: 1 });`;
    const source = `async ({ step }) => { ${CALL} ${CALL} ${other} }`;
    expect(findWaits(source).waits).toEqual([CART, wait("b", { match: "user.id" })]);
  });
});

describe("not as waits count", () => {
  it.each([
    ["text that is no function", "function () { [native code] }"],
    ["nonsense", "%%%"],
    ["nothing", ""],
    ["a call in a comment", `({ step }) => { /* ${CALL} */ }`],
    ["a call in a text", `({ step }) => { log(${JSON.stringify(CALL)}); }`],
    [
      "another call with two of the keys",
      `({ step }) => track("x", { event: "cart/purchased", match: "data.cart_id" })`,
    ],
    [
      "another call without match and if",
      `({ step: { waitForEvent: w } }) => w("x", { event: "cart/purchased", timeout: 1 })`,
    ],
    ["cancelOn of another function", `() => createFunction({ cancelOn: ${OPTIONS} }, () => 1)`],
  ])("%s", (_, source) => {
    expect(findWaits(source)).toEqual({ waits: [], unread: 0 });
  });

  it.each([
    ["a computed event", "({ step, event }) => step.waitForEvent('w', { event: `a/${event.name}`, match: 'id' })"],
    ["a parameter", "({ step, event }) => step.waitForEvent('w', { event: 'a', match: event.data.path })"],
    ["options from elsewhere", "({ step }) => step.waitForEvent('w', options)"],
    [
      "a variable that is assigned",
      "({ step }) => { let e = 'a'; e = 'b'; return step.waitForEvent('w', { event: e, match: 'id' }); }",
    ],
    [
      "a name that is declared twice",
      "({ step }) => { { const e = 'a'; } { const e = 'b'; step.waitForEvent('w', { event: e, match: 'id' }); } }",
    ],
    ["a constant of itself", "({ step }) => { const e = e; step.waitForEvent('w', { event: e, match: 'id' }); }"],
    ["a spread", "({ step }) => step.waitForEvent('w', { ...options, match: 'id' })"],
    ["a spread beside literals", "({ step }) => step.waitForEvent('w', { ...options, event: 'a', match: 'id' })"],
    ["a computed key", "({ step }) => step.waitForEvent('w', { event: 'a', [by]: 'id' })"],
    [
      "a computed condition",
      "({ step, event }) => step.waitForEvent('w', { event: 'a', if: `async.n > ${event.ts}` })",
    ],
    ["a computed since", "({ step }) => step.waitForEvent('w', { event: 'a', match: 'id', since: from })"],
    ["no options", "({ step }) => step.waitForEvent('w')"],
  ])("%s, which is told instead", (_, source) => {
    expect(findWaits(source)).toEqual({ waits: [], unread: 1 });
  });
});

describe("constants from outside", () => {
  const resolve = (name: string): string | undefined => (name === "cartPurchased" ? "cart/purchased" : undefined);
  it.each([
    ["by name", "cartPurchased"],
    ["of a module", "events_1.cartPurchased"],
    ["of vitest's modules", "__vi_import_0__.cartPurchased"],
    ["of a bundle", "(0, events.cartPurchased)"],
    ["by their name's name", "cartPurchased.name"],
  ])("are resolved %s", (_, expression) => {
    const source = `({ step }) => step.waitForEvent("w", { event: ${expression}, match: "data.cart_id", timeout: 1 })`;
    expect(findWaits(source, resolve)).toEqual({ waits: [CART], unread: 0 });
    expect(findWaits(source)).toEqual({ waits: [], unread: 1 });
  });
});
