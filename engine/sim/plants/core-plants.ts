/** Bugs in the core that one partition alone shows. */
import { baseOfRun, type MemoEntry } from "@eddy/schemas";
import { isKind, runKey, type Change, type Core, type Effect, type RowWriter } from "../../src/core/index.js";
import type { Scenario } from "../scenario.js";
import { deciding, seeing, viewOf, without, type Plant } from "./plant.js";

export const CORE_PLANTS: readonly Plant[] = [
  {
    name: "wall-clock-in-timer",
    summary: "deadlines of sleeps and waits come from the process's clock",
    sabotage: {
      core: (core, { nowMs }) =>
        deciding(core, (view, input, moment) => {
          const { changes, effects, rejections } = core.decide(view, input, moment);
          const offMs = nowMs() - moment.rawMs;
          return { changes: changes.map((change) => shifted(change, offMs, moment.nowMs)), effects, rejections };
        }),
    },
  },
  {
    name: "missing-mark",
    summary: "a run's mark does not move: a later wait takes an event from before the last sleep or wait",
    sabotage: { core: (core) => without(core, "MarkMoved", "MarkPostponed") },
  },
  {
    name: "iteration-order-in-decide",
    summary: "every other incarnation gives the effects of a record in another order",
    sabotage: {
      core: (core, { incarnation }) =>
        incarnation % 2 === 0
          ? core
          : deciding(core, (view, input, moment) => {
              const { changes, effects, rejections } = core.decide(view, input, moment);
              return { changes, effects: [...effects].reverse(), rejections };
            }),
    },
  },
  {
    name: "dedup-off",
    summary: "event ids are not looked up",
    sabotage: { core: (core) => seeing(core, (view) => viewOf(view, { indexValue: () => null })) },
  },
  {
    name: "lookback-off",
    summary: "no event is kept for a wait that comes later",
    sabotage: { core: (core) => without(core, "EventKept", "KeptEventsTrimmed") },
  },
  {
    name: "heartbeats-ignored",
    summary: "a lease ends 60 s after delivery, whatever the worker says",
    sabotage: { core: (core) => without(core, "LeaseExtended") },
  },
  {
    name: "stale-report-accepted",
    summary: "a report counts for whatever invocation is current",
    sabotage: {
      core: (core) =>
        deciding(core, (view, input, moment) => {
          const run = input.kind === "report" ? view.get(runKey(input.report.runId)) : null;
          if (input.kind !== "report" || run === null) return core.decide(view, input, moment);
          const report = { ...input.report, invocation: run.invocation.no };
          return core.decide(view, { kind: "report", report }, moment);
        }),
    },
  },
  {
    name: "stale-decline-accepted",
    summary: "a declined request is sent again, whichever invocation is current",
    // Where hosts decline all that they can, and often twice.
    adjust: (scenario) => ({
      ...scenario,
      habits: scenario.habits.map((habits) => ({ ...habits, declines: 1, twice: 0.5 })),
      limits: { ...scenario.limits, wholeRequestBytesMax: 0 },
    }),
    sabotage: {
      core: (core) =>
        deciding(core, (view, input, moment) => {
          const run = input.kind === "declined" ? view.get(runKey(input.runId)) : null;
          if (input.kind !== "declined" || run === null) return core.decide(view, input, moment);
          return core.decide(view, { ...input, invocation: run.invocation.no }, moment);
        }),
    },
  },
  {
    name: "declined-in-part",
    summary: "what was declined for what it left out leaves it out again",
    sabotage: {
      core: (core) =>
        deciding(core, (view, input, moment) => {
          const { changes, effects, rejections } = core.decide(view, input, moment);
          if (input.kind !== "declined") return { changes, effects, rejections };
          return { changes, effects: effects.map(inPart), rejections };
        }),
    },
  },
  {
    name: "result-left",
    summary: "a run's results stay when it ends",
    adjust: apart,
    sabotage: {
      core: (core) => ({ ...core, evolve: (rows, change) => core.evolve(withoutDeletes(rows), change) }),
    },
  },
  {
    name: "reference-not-filled",
    summary: "a request that goes whole lacks the data that lies apart",
    adjust: apart,
    sabotage: {
      core: (core) =>
        deciding(core, (view, input, moment) => {
          const { changes, effects, rejections } = core.decide(view, input, moment);
          const isWhole = effects.some((effect) => effect.kind === "RequestStep" && effect.request.event !== null);
          return { changes, effects: isWhole ? effects.map(unfilled) : effects, rejections };
        }),
    },
  },
  {
    name: "part-lost",
    summary: "the first part of a request never leaves",
    adjust: (scenario) => {
      const { limits, ...rest } = apart(scenario);
      return { ...rest, limits: { ...limits, requestPartBytesMax: 500 } };
    },
    sabotage: {
      core: (core) => {
        const isFirst = (effects: readonly Effect[], i: number): boolean =>
          effects[i]?.kind === "RequestPart" && effects[i - 1]?.kind !== "RequestPart";
        return deciding(core, (view, input, moment) => {
          const { changes, effects, rejections } = core.decide(view, input, moment);
          return { changes, effects: effects.filter((_, i) => !isFirst(effects, i)), rejections };
        });
      },
    },
  },
  {
    name: "timer-one-early",
    summary: "sleeps and waits end one millisecond before their time",
    sabotage: {
      core: (core) =>
        deciding(core, (view, input, moment) => {
          const { changes, effects, rejections } = core.decide(view, input, moment);
          return { changes: changes.map((change) => shifted(change, -1, moment.nowMs)), effects, rejections };
        }),
    },
  },
  {
    name: "cancel-of-own-run",
    summary: "the event that starts a run cancels it at once, where a rule names it",
    sabotage: { core: cancellingItself },
  },
];

/** All results lie apart. */
function apart(scenario: Scenario): Scenario {
  return { ...scenario, limits: { ...scenario.limits, resultInlineBytesMax: 0 } };
}

function withoutDeletes(rows: RowWriter): RowWriter {
  return {
    get: (key) => rows.get(key),
    put: (key, row) => rows.put(key, row),
    delete: (key) => {
      if (!isKind(key, "result")) rows.delete(key);
    },
  };
}

function unfilled(effect: Effect): Effect {
  const empty = (memo: readonly MemoEntry[]): MemoEntry[] =>
    memo.map((entry) => (entry.data === null ? entry : { ...entry, data: new Uint8Array() }));
  if (effect.kind === "RequestPart") return { ...effect, part: { ...effect.part, memo: empty(effect.part.memo) } };
  if (effect.kind !== "RequestStep") return effect;
  return { ...effect, request: { ...effect.request, memo: empty(effect.request.memo) } };
}

function inPart(effect: Effect): Effect {
  return effect.kind === "RequestStep" ? { ...effect, request: { ...effect.request, event: null, memo: [] } } : effect;
}

/** A sleep or wait that ends at another time. */
function shifted(change: Change, byMs: number, nowMs: number): Change {
  if (change.kind !== "PendingOpened" || (change.item.kind !== "sleep" && change.item.kind !== "wait")) return change;
  const { item } = change;
  const dueAtMs = Math.max(nowMs + 1, item.dueAtMs + byMs);
  return { ...change, item: item.kind === "wait" ? { ...item, dueAtMs, deadlineMs: dueAtMs } : { ...item, dueAtMs } };
}

/** The next record is decided as if the event had come once more, under another id. */
function cancellingItself(core: Core): Core {
  return deciding(core, (view, input, moment) => {
    const decision = core.decide(view, input, moment);
    const own = decision.changes.find((change) => change.kind === "RunStarted");
    if (input.kind !== "event" || own?.kind !== "RunStarted") return decision;
    const { runId, functionId } = own.run;
    const base = baseOfRun(runId);
    const opened = decision.changes.flatMap((c) =>
      c.kind === "SubscriptionOpened" && c.listener.of === "run" && c.listener.base === base ? [c] : [],
    );
    if (!opened.some(({ purpose }) => purpose === "cancel")) return decision;
    const closed = opened.map(
      ({ purpose, routeKey, listener }) => ({ kind: "SubscriptionClosed", listener, purpose, routeKey }) as const,
    );
    const end = {
      kind: "runCancelled",
      runId,
      functionId,
      atMs: moment.nowMs,
      eventId: input.id,
      reason: "itself",
    } as const;
    return {
      changes: [...decision.changes, ...closed, { kind: "RunEnded", runId }],
      effects: [...decision.effects, { kind: "RecordHistory", entry: end }],
      rejections: decision.rejections,
    };
  });
}
