/** Compiled by types.unit.spec.ts: what is inferred, and what must not compile. */
import { expectTypeOf } from "vitest";
import { z } from "zod";
import {
  Eddy,
  eventType,
  staticSchema,
  type EddyEvent,
  type EddyFunction,
  type Handler,
  type Jsonify,
  type StepResult,
} from "@eddy/sdk";
import { Inngest, NonRetriableError } from "@eddy/sdk/inngest";

const added = eventType("cart/added", { schema: z.object({ cart_id: z.string(), items: z.number().default(1) }) });
const bought = eventType("cart/bought", { schema: staticSchema<{ cart_id: string; total: number }>() });
const plain = eventType("plain");
const eddy = new Eddy({ id: "shop" });
const typed = new Eddy({ id: "shop", schemas: [added, bought] });

// Untyped events: data and user are any, names are literal.
const fn = eddy.createFunction(
  { id: "f", triggers: [{ event: "a" }, { event: "b" }] },
  async ({ event, step, events }) => {
    expectTypeOf(event.name).toEqualTypeOf<"a" | "b">();
    expectTypeOf(event.data).toBeAny();
    expectTypeOf(event.user).toBeAny();
    expectTypeOf(event.id).toEqualTypeOf<string>();
    expectTypeOf(event.ts).toEqualTypeOf<number>();
    expectTypeOf(events[0]).toEqualTypeOf(event);
    const reply = await step.waitForEvent("w", { event: "reply", timeout: "1h", match: "data.id" });
    expectTypeOf(reply).toEqualTypeOf<EddyEvent<"reply"> | null>();
    // @ts-expect-error -- a reply may not have come
    void reply.data;
    expectTypeOf(await step.sleep("s", "1h")).toEqualTypeOf<void>();
  },
);
expectTypeOf(fn).toEqualTypeOf<EddyFunction>();

// Event types, as trigger and in waits.
eddy.createFunction({ id: "f", triggers: added }, async ({ event, step }) => {
  expectTypeOf(event.data).toEqualTypeOf<{ cart_id: string; items?: number | undefined }>();
  const reply = await step.waitForEvent("w", { event: bought, timeout: 5, match: "data.cart_id" });
  expectTypeOf(reply).toEqualTypeOf<EddyEvent<"cart/bought", { cart_id: string; total: number }> | null>();
  // @ts-expect-error -- no such field
  void event.data.other;
});
eddy.createFunction({ id: "f", triggers: [{ event: added }, plain, { event: "x" }] }, ({ event }) => {
  if (event.name === "cart/added") expectTypeOf(event.data.cart_id).toEqualTypeOf<string>();
  if (event.name === "plain") expectTypeOf(event.data).toBeAny();
});

// The older form.
eddy.createFunction({ id: "f" }, { event: added }, ({ event }) => void event.data.cart_id.length);
eddy.createFunction(
  { id: "f", cancelOn: [{ event: added, match: "data.cart_id" }] },
  [{ event: "x" }],
  ({ event, step }) => {
    expectTypeOf(event.name).toEqualTypeOf<"x">();
    return step.sleepUntil("u", new Date(0));
  },
);

// A client with schemas types events that are named by text.
typed.createFunction({ id: "f", triggers: { event: "cart/added" } }, async ({ event, step }) => {
  expectTypeOf(event.data.cart_id).toEqualTypeOf<string>();
  const reply = await step.waitForEvent("w", { event: "cart/bought", timeout: new Date(0), match: "data.cart_id" });
  expectTypeOf(reply?.data.total).toEqualTypeOf<number | undefined>();
  const other = await step.waitForEvent("w", { event: "other", timeout: "1h", match: "data.cart_id" });
  expectTypeOf(other).toEqualTypeOf<EddyEvent<"other"> | null>();
});
void typed.send({ name: "cart/bought", data: { cart_id: "c", total: 1 } });
void typed.send([
  { name: "cart/bought", data: { cart_id: "c", total: 1 } },
  { name: "other", data: { any: 1 } },
]);
void typed.send([bought.create({ cart_id: "c", total: 1 }), added.create({ cart_id: "c" })]);
// @ts-expect-error -- total is missing
void typed.send({ name: "cart/bought", data: { cart_id: "c" } });
// @ts-expect-error -- data is missing
void typed.send({ name: "cart/bought" });
// @ts-expect-error -- not a number
bought.create({ cart_id: "c", total: "1" });
void eddy.send({ name: "anything", data: { any: 1 }, user: { email: "" }, id: "i", ts: 1, v: "1" });
void eddy.send([{ name: "a" }, { name: "b", data: {} }]);
declare const some: { name: string; data: Record<string, unknown> }[];
void eddy.send(some);
void typed.send(some);
expectTypeOf(eddy.send({ name: "a" })).resolves.toEqualTypeOf<{ readonly ids: string[] }>();
// @ts-expect-error -- no name
void eddy.send({ data: {} });

// Results of steps as JSON has them.
eddy.createFunction({ id: "f", triggers: plain }, async ({ step }) => {
  expectTypeOf(await step.run("s", () => new Date())).toEqualTypeOf<string>();
  expectTypeOf(await step.run("s", async () => ({ at: new Date(), n: 1 }))).toEqualTypeOf<{ at: string; n: number }>();
  expectTypeOf(await step.run("s", () => undefined)).toEqualTypeOf<null>();
  expectTypeOf(await step.run("s", async () => {})).toEqualTypeOf<null>();
  expectTypeOf(await step.run("s", (a: number, b: string) => `${a}${b}`, 1, "x")).toEqualTypeOf<string>();
  expectTypeOf(await step.run({ id: "s", name: "S" }, () => [1, undefined])).toEqualTypeOf<(number | null)[]>();
  expectTypeOf(step.current().idempotencyKey).toEqualTypeOf<string>();
  expectTypeOf(step.signal).toEqualTypeOf<AbortSignal>();
  // @ts-expect-error -- the second argument is text
  await step.run("s", (a: number, b: string) => `${a}${b}`, 1, 2);
});

// Mistakes that do not compile.
// @ts-expect-error -- no triggers
eddy.createFunction({ id: "f" }, () => 1);
// @ts-expect-error -- no id
eddy.createFunction({ triggers: plain }, () => 1);
// @ts-expect-error -- no such option
eddy.createFunction({ id: "f", triggers: plain, retry: 1 }, () => 1);
// @ts-expect-error -- match and if exclude each other
eddy.createFunction({ id: "f", triggers: plain, cancelOn: { event: "x", match: "id", if: "true" } }, () => 1);
// @ts-expect-error -- match and if exclude each other
eddy.createFunction({ id: "f", triggers: plain, waits: [{ event: "x", match: "id", if: "true" }] }, () => 1);
// @ts-expect-error -- a condition is text
eddy.createFunction({ id: "f", triggers: { event: "x", if: true } }, () => 1);
eddy.createFunction({ id: "f", triggers: plain }, async ({ step }) => {
  // @ts-expect-error -- a wait needs its timeout
  await step.waitForEvent("w", { event: "x", match: "id" });
  // @ts-expect-error -- match and if exclude each other
  await step.waitForEvent("w", { event: "x", timeout: 1, match: "id", if: "true" });
  // @ts-expect-error -- no such beginning
  await step.waitForEvent("w", { event: "x", timeout: 1, since: "yesterday" });
  // @ts-expect-error -- an event has a name
  await step.sendEvent("s", { data: {} });
});

// Wildcards: the name is text, data is untyped, whatever the client knows.
typed.createFunction({ id: "f", triggers: [{ event: "cart/*", if: "event.data.total > 3" }] }, ({ event }) => {
  expectTypeOf(event).toEqualTypeOf<EddyEvent>();
});
eddy.createFunction({ id: "f", triggers: eventType("a/*", { schema: staticSchema<{ n: 1 }>() }) }, ({ event }) => {
  expectTypeOf(event).toEqualTypeOf<EddyEvent<string, { n: 1 }>>();
});
eddy.createFunction({ id: "f", triggers: [{ event: "b" }, { event: "a/*" }] }, ({ event }) => {
  expectTypeOf(event.name).toEqualTypeOf<string>();
});

// Conditions, lanes, since; sending from a step.
typed.createFunction(
  {
    id: "f",
    triggers: plain,
    cancelOn: [{ event: added }, { event: "x", if: "async.data.id == event.data.id" }, { event: "y", timeout: "1h" }],
    waits: [{ event: bought, if: "async.data.total > 3", since: "trigger" }, { event: "z" }],
  },
  async ({ step }) => {
    const big = await step.waitForEvent("w", { event: bought, if: "async.data.total > 3", timeout: 1 });
    expectTypeOf(big?.data.total).toEqualTypeOf<number | undefined>();
    const lane = step.waitForEvent("w", { event: "cart/bought", timeout: 1, since: "registration" });
    const first = await Promise.race([lane, step.sleep("s", 1)]);
    expectTypeOf(first).toEqualTypeOf<EddyEvent<"cart/bought", { cart_id: string; total: number }> | null | void>();
    const payload = { name: "cart/bought", data: { cart_id: "c", total: 1 } } as const;
    expectTypeOf(await step.sendEvent("s", payload)).toEqualTypeOf<{ readonly ids: string[] }>();
    await step.sendEvent({ id: "s", name: "S" }, [payload, { name: "other" }, bought.create(payload.data)]);
    // @ts-expect-error -- total is missing
    await step.sendEvent("s", { name: "cart/bought", data: { cart_id: "c" } });
  },
);

// Handlers of their own.
const handler: Handler = async ({ event, step }) => step.run("s", () => (event.data as { n: number }).n);
eddy.createFunction({ id: "f", triggers: { event: "x" } }, handler);

// The other import path is the same client.
const inngest = new Inngest({ id: "shop" });
expectTypeOf(inngest).toEqualTypeOf<Eddy>();
throw new NonRetriableError("never run", { cause: inngest });

type Tree = { value: Date; children: Tree[] };
expectTypeOf<Jsonify<Tree>["children"][number]["value"]>().toEqualTypeOf<string>();
expectTypeOf<Jsonify<{ a?: number; b: string | undefined; c: () => void; d: symbol; [7]: 1 }>>().toEqualTypeOf<{
  7: 1;
  a?: number;
  b?: string;
}>();
expectTypeOf<Jsonify<Map<string, number>>>().toEqualTypeOf<Record<string, never>>();
expectTypeOf<Jsonify<{ m: Set<1>; r: readonly [Date, () => 1, 2] }>>().toEqualTypeOf<{
  m: Record<string, never>;
  r: [string, null, 2];
}>();
expectTypeOf<Jsonify<bigint>>().toBeNever();
expectTypeOf<Jsonify<unknown>>().toBeUnknown();
expectTypeOf<Jsonify<{ u: unknown; a: unknown[] }>>().toEqualTypeOf<{ u: unknown; a: unknown[] }>();
expectTypeOf<Jsonify<{ toJSON(): { at: Date } }>>().toEqualTypeOf<{ at: string }>();
expectTypeOf<Jsonify<string & { readonly brand: "id" }>>().toEqualTypeOf<string & { readonly brand: "id" }>();
expectTypeOf<Jsonify<1 | Date | null>>().toEqualTypeOf<1 | string | null>();
expectTypeOf<Jsonify<Record<string, Date>>>().toEqualTypeOf<Record<string, string>>();
expectTypeOf<StepResult<{ a: 1 } | undefined>>().toEqualTypeOf<{ a: 1 } | null>();
expectTypeOf<StepResult<boolean>>().toEqualTypeOf<boolean>();
expectTypeOf<StepResult<void>>().toEqualTypeOf<null>();
