/** The judge finds what it is there to find: one shop where all is well, and the same with one thing wrong at a time. */
import type { RunSummary, TimelineLine } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { judge } from "./judge.js";
import type { Entry } from "./ledger.js";
import { Shop } from "./shop.js";

const TIMEOUT_MS = 1_000;
const BUYER = 0;
const OTHER = 1;

const entry = (n: number, stepId: string, what: Entry["what"], atMs: number): Entry => ({
  what,
  runId: `run-${n}`,
  stepId,
  n,
  atMs,
});
const line = (kind: string, more: Record<string, unknown> = {}): TimelineLine => ({ kind, at: "", ...more });
const lookedUp = [line("runStarted"), line("stepCompleted", { stepId: "look-up" })];
const bought = [...lookedUp, line("waitResolved"), line("runCompleted")];
const reminded = [...lookedUp, line("waitTimedOut"), line("stepCompleted", { stepId: "remind" }), line("runCompleted")];

function world() {
  const shop = new Shop([], []);
  const end = (output: string): RunSummary => ({ status: "Completed", output }) as unknown as RunSummary;
  shop.added.set(BUYER, { calledAtMs: 0, acknowledgedAtMs: 10 });
  shop.added.set(OTHER, { calledAtMs: 0, acknowledgedAtMs: 10 });
  shop.bought.set(BUYER, { calledAtMs: 10, acknowledgedAtMs: 20 });
  shop.runs.set(BUYER, end("bought"));
  shop.runs.set(OTHER, end("reminded"));
  const timelines = new Map([
    [BUYER, bought],
    [OTHER, reminded],
  ]);
  const ledger = [
    entry(BUYER, "look-up", "began", 11),
    entry(BUYER, "look-up", "recorded", 12),
    entry(OTHER, "look-up", "began", 11),
    entry(OTHER, "look-up", "recorded", 12),
    entry(OTHER, "remind", "began", 1_012),
    entry(OTHER, "remind", "recorded", 1_013),
  ];
  const notices = new Map([BUYER, OTHER].map((cart) => [cart, [end("noticed")]]));
  return { carts: [BUYER, OTHER], shop, timelines, notices, ledger, timeoutMs: TIMEOUT_MS as number | null, end };
}
type World = ReturnType<typeof world>;

describe("the judge of the drills", () => {
  it("is content when all is well", () => {
    expect(judge(world())).toEqual([]);
  });

  it("lets a step begin twice before it is recorded", () => {
    const shop = world();
    shop.ledger.unshift(entry(BUYER, "look-up", "began", 5));
    expect(judge(shop)).toEqual([]);
  });

  it("takes either end for a purchase that may have been too late", () => {
    const shop = world();
    shop.shop.bought.set(BUYER, { calledAtMs: 900, acknowledgedAtMs: TIMEOUT_MS });
    shop.shop.runs.set(BUYER, shop.end("reminded"));
    shop.timelines.set(BUYER, reminded);
    expect(judge(shop)).toEqual([]);
  });

  it.each<[string, string, (world: World) => void]>([
    ["a recorded step that ran again", "G5", ({ ledger }) => void ledger.push(entry(OTHER, "remind", "began", 2_000))],
    ["a purchase in time that timed out", "G1", ({ shop, end }) => void shop.runs.set(BUYER, end("reminded"))],
    [
      "a reminder of what was bought in time",
      "G1",
      ({ ledger }) => void ledger.push(entry(BUYER, "remind", "began", 1_100)),
    ],
    [
      "a reminder before its time",
      "G1",
      ({ ledger }) => void ledger.splice(4, 1, entry(OTHER, "remind", "began", 999)),
    ],
    ["a reminder that never came", "G6", ({ ledger }) => void ledger.splice(4, 2)],
    ["a run that is lost", "not there", ({ shop }) => void shop.runs.delete(OTHER)],
    ["an event that was never acknowledged", "never acknowledged", ({ shop }) => void shop.added.delete(OTHER)],
    ["an end that nobody asked for", "not bought", ({ shop, end }) => void shop.runs.set(OTHER, end("bought"))],
    ["two ends", '2 of "end"', ({ timelines }) => void timelines.set(BUYER, [...bought, line("runFailed")])],
    [
      "a wait that ended twice",
      '2 of "end of the wait"',
      ({ timelines }) => void timelines.set(BUYER, [...bought, line("waitTimedOut")]),
    ],
    [
      "a step that was recorded twice",
      '2 of "look-up"',
      ({ timelines }) => void timelines.set(BUYER, [...bought, line("stepCompleted", { stepId: "look-up" })]),
    ],
    ["an event of a step that came twice", "G6", ({ notices, end }) => void notices.get(OTHER)?.push(end("again"))],
    ["an event of a step that is lost", "G6", ({ notices }) => void notices.delete(OTHER)],
    ["a timeline that is gone", '0 of "start"', ({ timelines }) => void timelines.delete(OTHER)],
  ])("finds %s", (_name, words, spoil) => {
    const spoilt = world();
    spoil(spoilt);
    expect(judge(spoilt).join("\n")).toContain(words);
  });
});
