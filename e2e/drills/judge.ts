/** What must be true of a shop after any trouble, told as a list of what is not. */
import type { RunSummary, TimelineLine } from "@eddy/schemas";
import type { Entry } from "./ledger.js";
import { isBuyer, type Shop } from "./shop.js";

export interface Evidence {
  readonly carts: readonly number[];
  readonly shop: Shop;
  readonly timelines: ReadonlyMap<number, readonly TimelineLine[]>;
  /** Runs that the event started which each cart's run sent. */
  readonly notices: ReadonlyMap<number, readonly RunSummary[]>;
  readonly ledger: readonly Entry[];
  /** Of the wait, in real time; null where the clock was moved, and every purchase was in time. */
  readonly timeoutMs: number | null;
}

/** @returns one line for each broken promise; empty when all is well. */
export function judge(evidence: Evidence): readonly string[] {
  const reminders = new Map<number, Entry>();
  for (const entry of evidence.ledger) {
    if (entry.stepId === "remind" && entry.what === "began") reminders.set(entry.n, reminders.get(entry.n) ?? entry);
  }
  return [
    ...repeatedSteps(evidence.ledger),
    ...evidence.carts.flatMap((cart) => [
      ...outcome(cart, evidence, reminders.get(cart)),
      ...endedOnce(cart, evidence.timelines.get(cart) ?? []),
      ...toldOnce(cart, evidence.notices.get(cart) ?? []),
    ]),
  ];
}

/** G5: a step that was recorded never begins again. */
function repeatedSteps(ledger: readonly Entry[]): readonly string[] {
  const recorded = new Map<string, Entry>();
  const problems: string[] = [];
  for (const entry of ledger) {
    const step = `${entry.runId}/${entry.stepId}`;
    const before = recorded.get(step);
    if (entry.what === "recorded") recorded.set(step, before ?? entry);
    else if (before !== undefined) {
      const afterMs = entry.atMs - before.atMs;
      problems.push(`G5: cart ${entry.n}: ${step} began again ${afterMs} ms after it was recorded`);
    }
  }
  return problems;
}

/** G1 and G6: what was acknowledged counts, in time or not; no timer is early. */
function outcome(cart: number, { shop, timeoutMs }: Evidence, reminder: Entry | undefined): readonly string[] {
  const problems: string[] = [];
  const [added, bought] = [shop.added.get(cart), shop.bought.get(cart)];
  const run = shop.runs.get(cart);
  if (added === undefined) return [`cart ${cart}: its event was never acknowledged`];
  if (run?.status !== "Completed") return [`cart ${cart}: its run is ${run?.status ?? "not there"}, not Completed`];
  const earliestMs = timeoutMs === null ? Infinity : added.calledAtMs + timeoutMs;
  if (isBuyer(cart)) {
    const inTime = bought !== undefined && bought.acknowledgedAtMs < earliestMs;
    if (inTime && run.output !== "bought")
      problems.push(`G1: cart ${cart}: bought in time, ended as ${String(run.output)}`);
    if (inTime && reminder !== undefined) problems.push(`G1: cart ${cart}: bought in time, and reminded`);
  } else {
    if (run.output !== "reminded") problems.push(`cart ${cart}: not bought, ended as ${String(run.output)}`);
    if (reminder === undefined) problems.push(`G6: cart ${cart}: never reminded`);
    else if (timeoutMs !== null && reminder.atMs < earliestMs) problems.push(`G1: cart ${cart}: reminded too early`);
  }
  return problems;
}

/** G2 and G5, as the history tells it. */
function endedOnce(cart: number, timeline: readonly TimelineLine[]): readonly string[] {
  const problems: string[] = [];
  const expectOne = (what: string, kinds: readonly string[], stepId?: string): void => {
    const found = timeline.filter(
      (line) => kinds.includes(line.kind) && (stepId === undefined || line["stepId"] === stepId),
    );
    if (found.length !== 1) problems.push(`cart ${cart}: its timeline has ${found.length} of "${what}"`);
  };
  expectOne("start", ["runStarted"]);
  expectOne("end", ["runCompleted", "runFailed", "runCancelled"]);
  expectOne("end of the wait", ["waitResolved", "waitTimedOut"]);
  expectOne("look-up", ["stepCompleted"], "look-up");
  if (timeline.some(({ kind }) => kind === "waitTimedOut")) expectOne("remind", ["stepCompleted"], "remind");
  return problems;
}

/** G6: what a step sends is there once, however often its worker died. */
function toldOnce(cart: number, notices: readonly RunSummary[]): readonly string[] {
  const ends = notices.map(({ status }) => status);
  return ends.length === 1 && ends[0] === "Completed" ? [] : [`G6: cart ${cart}: its notices are [${ends.join(", ")}]`];
}
