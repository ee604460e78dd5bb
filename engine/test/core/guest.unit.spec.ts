/** Guests: what is news to one that is here already, from when on the past matters to it, what comes too late for it. */
import { BROKER_SKEW_MS, ID_WINDOW_MS, type InboxRecordOf, type Rule } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { hasRule, listensSinceMs } from "../../src/core/foreign/guest.js";
import type { Row } from "../../src/core/index.js";
import { Cluster, keyOn } from "./cluster.js";
import { fn } from "./scenario.js";

const CART = keyOn(1, 4, "cart");
const USER = keyOn(2, 4, "user");
const NOW = 5_000;
const rule = (condition: string | null, expiresAtMs: number | null): Rule => ({
  if: condition,
  given: null,
  expiresAtMs,
});

const by = { event: "user/left", match: "data.user" };
const cancelOn = [{ event: "cart/added", match: "data.cart" }, by];
type Event = InboxRecordOf<"event">;

function cluster(functions = [fn({ id: "nudge", cancelOn })]): Cluster {
  const c = new Cluster();
  c.register(functions);
  c.deliver();
  c.pass(1);
  c.deliver();
  return c;
}

/** The trigger as partition 0 repeats it to partition 2, `atMs` by its log; a stale one was sent by an old view. */
function repeatOf(c: Cluster, atMs: number, isStale: boolean): Event {
  const copy = c.copies("cart/added", { cart: CART, user: USER }, { id: "t" }).get(2) as Event;
  const source = { partition: 0, offset: 1_000, index: 0 };
  return { ...copy, idFrom: "generated", origin: { as: "repeat", isStale, atMs, offset: 1_000, source } };
}

const guestsAt2 = (c: Cluster): Row<"guest">[] =>
  [...c.at(2).world.rows].filter(([key]) => key.startsWith("g|")).map(([, row]) => row as Row<"guest">);

describe("a rule is known to a guest", () => {
  const guest = (...rules: Rule[]): Row<"guest"> =>
    ({ subscriptions: [{ purpose: "cancel", routeKey: "k", chunk: 0, rules }] }) as unknown as Row<"guest">;
  const cases: [string, Row<"guest"> | null, Rule, boolean][] = [
    ["no guest knows any", null, rule(null, null), false],
    ["the same", guest(rule("a", null)), rule("a", null), true],
    ["another condition", guest(rule("a", null)), rule("b", null), false],
    ["one that lived longer", guest(rule(null, 4_000)), rule(null, 3_000), true],
    ["one that lives still, though it ends before", guest(rule(null, NOW)), rule(null, null), true],
    ["one that ended before, and is over", guest(rule(null, NOW - 1)), rule(null, null), false],
  ];
  for (const [name, here, told, expected] of cases) {
    it(`${expected ? "" : "not "}by ${name}`, () => {
      expect(hasRule(here, "k", told, NOW)).toBe(expected);
      expect(hasRule(here, "other", told, NOW)).toBe(false);
    });
  }

  it("so that an event between the end of a shorter one and the telling of a longer one cancels (G3)", () => {
    const c = cluster([fn({ id: "nudge", cancelOn: [cancelOn[0] as never, { ...by, timeout: { ms: 1_000 } }] })]);
    c.send("cart/added", { cart: CART, user: USER });
    c.deliver();
    const { runId } = c.request();
    const [guest] = guestsAt2(c);
    c.apply(2, { kind: "tick" }, 2_000);
    const id = c.send("user/left", { user: USER });
    c.deliver();
    expect(c.of("runCancelled")).toEqual([]);
    const told = { event: by.event, path: by.match, value: `s:${USER}`, if: null, given: null, expiresAtMs: null };
    c.apply(2, {
      kind: "listen",
      ...{ base: guest?.base ?? "", runId, trigger: guest?.trigger ?? { id: "", name: "" } },
      ...{ startedAtMs: guest?.startedAtMs ?? 0, taken: [], keepFromMs: 0, wait: null, rules: [told] },
      source: { partition: 1, offset: 1_000, index: 0 },
    });
    c.deliver();
    expect(c.of("runCancelled")).toMatchObject([{ eventId: id }]);
  });
});

describe("the past matters to what a guest begins to listen to", () => {
  const arrival = (isLate: boolean): Parameters<typeof listensSinceMs>[1] =>
    ({ isLate, atMs: 1_000 }) as Parameters<typeof listensSinceMs>[1];
  const here = { startedAtMs: 2_000 } as Row<"guest">;

  it("not where its trigger's copy is the first word of it", () => {
    expect(listensSinceMs(null, arrival(false))).toBeNull();
  });
  it("since it began, where it was here before", () => {
    expect(listensSinceMs(here, arrival(false))).toBe(2_000);
  });
  it("since the event, where that comes late", () => {
    expect(listensSinceMs(null, arrival(true))).toBe(1_000);
    expect(listensSinceMs(here, arrival(true))).toBe(1_000);
  });
});

describe("a repeat of its trigger", () => {
  it("makes no guest once its id may have been forgotten", () => {
    for (const [age, count] of [
      [ID_WINDOW_MS.generated + 1, 0],
      [ID_WINDOW_MS.generated - 1, 1],
    ]) {
      const c = cluster();
      c.apply(2, repeatOf(c, c.at(2).nowMs + 1 - (age ?? 0), true));
      expect(guestsAt2(c)).toHaveLength(count ?? 0);
    }
  });

  it("that comes late listens from the event on: what has come since cancels, what came before does not", () => {
    for (const [sinceMs, cancelled] of [
      [-5_000, ["left"]],
      [5_000, []],
    ] as const) {
      const c = cluster();
      c.send("user/left", { user: USER }, { id: "left" });
      const leftAtMs = c.at(2).nowMs;
      c.apply(2, { kind: "tick" }, 10 * BROKER_SKEW_MS);
      c.apply(2, repeatOf(c, leftAtMs + sinceMs, true));
      const answers = c.posted.flatMap(({ record }) => (record.kind === "answer" ? [record.answer] : []));
      expect(answers.map((answer) => (answer.kind === "cancelled" ? answer.eventId : answer.kind))).toEqual(cancelled);
      expect(guestsAt2(c)).toHaveLength(1 - cancelled.length);
    }
  });

  it("that is in time listens from its own place on", () => {
    const c = cluster();
    c.send("user/left", { user: USER });
    c.apply(2, repeatOf(c, c.at(2).nowMs - 5_000, false));
    expect(guestsAt2(c)).toMatchObject([{ startedAtMs: c.at(2).nowMs, fromOffset: c.at(2).nextOffset - 1 }]);
  });
});
