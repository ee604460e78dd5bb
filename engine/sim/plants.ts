/**
 * Bugs to be found. Each is put in from outside, around the core or a port; production code has no switch for any of
 * them. What wraps the core wraps the judge's replay too, as if it stood in the source: only the model, the promises and
 * the comparison of incarnations can tell then.
 */
import { offset } from "@eddy/schemas";
import type { Core, Decision, Effect, Input, Moment, RowView } from "../src/core/index.js";
import { runKey } from "../src/core/index.js";
import type { Change } from "../src/core/index.js";
import type { Log, LogReader, LogRecord } from "@eddy/clients";
import type { Store } from "../src/ports/store.js";
import type { Sabotage } from "./cluster.js";
import type { Scenario } from "./scenario.js";

export interface Plant {
  readonly name: string;
  readonly summary: string;
  readonly sabotage?: Sabotage;
  readonly adjust?: (scenario: Scenario) => Scenario;
}

/** The core with another `decide`. */
function deciding(
  core: Core,
  decide: (view: RowView, input: Input, moment: Moment) => Pick<Decision, "changes" | "effects"> & Partial<Decision>,
): Core {
  return { ...core, decide: (view, input, moment) => ({ rejections: [], ...decide(view, input, moment) }) };
}

/** The core without some of its changes. */
function without(core: Core, ...kinds: readonly Change["kind"][]): Core {
  return deciding(core, (view, input, moment) => {
    const { changes, effects, rejections } = core.decide(view, input, moment);
    return { changes: changes.filter(({ kind }) => !kinds.includes(kind)), effects, rejections };
  });
}

function readersOf(log: Log, wrap: (reader: LogReader, topic: string) => LogReader): Log {
  return { ...methodsOf(log), reader: (topic, partition, from) => wrap(log.reader(topic, partition, from), topic) };
}

/** Class instances keep their methods on the prototype: this makes them own, bound properties. */
function methodsOf(log: Log): Log {
  return {
    ensureTopics: (specs) => log.ensureTopics(specs),
    topicId: (topic) => log.topicId(topic),
    append: (topic, partition, records) => log.append(topic, partition, records),
    offsets: (topic, partition) => log.offsets(topic, partition),
    reader: (topic, partition, from) => log.reader(topic, partition, from),
    openChangelogWriter: (topic, partition) => log.openChangelogWriter(topic, partition),
    commitGroupOffset: (group, topic, partition, at) => log.commitGroupOffset(group, topic, partition, at),
    groupOffset: (group, topic, partition) => log.groupOffset(group, topic, partition),
    close: () => log.close(),
  };
}

const CORE_PLANTS: readonly Plant[] = [
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
    sabotage: { core: (core) => without(core, "MarkMoved") },
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
    sabotage: {
      core: (core) =>
        deciding(core, (view, input, moment) =>
          core.decide(
            {
              get: (key) => view.get(key),
              hasIndex: () => false,
              scanIndex: (range) => view.scanIndex(range),
              isLoaded: (request) => view.isLoaded(request),
            },
            input,
            moment,
          ),
        ),
    },
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

function inPart(effect: Effect): Effect {
  return effect.kind === "RequestStep" ? { ...effect, request: { ...effect.request, event: null, memo: [] } } : effect;
}

/** A sleep or wait that ends at another time. */
function shifted(change: Change, byMs: number, nowMs: number): Change {
  if (change.kind !== "PendingOpened" || (change.item.kind !== "sleep" && change.item.kind !== "wait")) return change;
  return { ...change, item: { ...change.item, dueAtMs: Math.max(nowMs + 1, change.item.dueAtMs + byMs) } };
}

/** The next record is decided as if the event had come once more, under another id. */
function cancellingItself(core: Core): Core {
  return deciding(core, (view, input, moment) => {
    const decision = core.decide(view, input, moment);
    const own = decision.changes.find((change) => change.kind === "RunStarted");
    if (input.kind !== "event" || own?.kind !== "RunStarted") return decision;
    const { runId, functionId } = own.run;
    const opened = decision.changes.flatMap((c) => (c.kind === "SubscriptionOpened" && c.runId === runId ? [c] : []));
    if (!opened.some(({ purpose }) => purpose === "cancel")) return decision;
    const closed = opened.map(
      ({ purpose, routeKey }) => ({ kind: "SubscriptionClosed", runId, purpose, routeKey }) as const,
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

const PORT_PLANTS: readonly Plant[] = [
  {
    name: "checkpoint-past-unacked-effect",
    summary: "an effect counts as sent before the log has it",
    sabotage: {
      engine: (ports) => {
        const { log, clock } = ports;
        const last = new Map<string, Promise<unknown>>();
        const append: Log["append"] = async (topic, partition, records) => {
          const at = `${topic}/${partition}`;
          const before = last.get(at) ?? Promise.resolve();
          const sent = before.then(() => log.append(topic, partition, records)).catch(() => undefined);
          last.set(at, sent);
          return { baseOffset: offset(0), appendTimeMs: clock.nowMs() };
        };
        return { ...ports, log: { ...methodsOf(log), append } };
      },
    },
  },
  {
    name: "lost-fencing",
    summary: "a former owner's checkpoint is taken",
    sabotage: {
      engine: (ports) => {
        const { log } = ports;
        const openChangelogWriter: Log["openChangelogWriter"] = async (topic, partition) => {
          let writer = await log.openChangelogWriter(topic, partition);
          return {
            commit: async (records) => {
              try {
                return await writer.commit(records);
              } catch (error) {
                if (!(error instanceof Error) || error.name !== "FencedError") throw error;
                writer = await log.openChangelogWriter(topic, partition);
                return writer.commit(records);
              }
            },
            close: () => writer.close(),
          };
        };
        return { ...ports, log: { ...methodsOf(log), openChangelogWriter } };
      },
    },
  },
  {
    name: "timers-after-the-record",
    summary: "time moves to a record's append time only after the record was decided",
    sabotage: {
      engine: (ports) => {
        const lastMs = new Map<LogReader, number>();
        const late = (reader: LogReader, record: LogRecord): LogRecord => {
          const appendTimeMs = lastMs.get(reader) ?? record.appendTimeMs;
          lastMs.set(reader, record.appendTimeMs);
          return { ...record, appendTimeMs };
        };
        const log = readersOf(ports.log, (reader, topic) =>
          topic.endsWith(".inbox")
            ? {
                read: async (limits) => (await reader.read(limits)).map((record) => late(reader, record)),
                close: () => reader.close(),
                get position() {
                  return reader.position;
                },
              }
            : reader,
        );
        return { ...ports, log };
      },
    },
  },
  {
    name: "timer-index-not-restored",
    summary: "a restore brings the rows back without the timers that follow from them",
    sabotage: { engine: (ports) => ({ ...ports, stores: { ...storesOf(ports.stores, forgetfulAtFirst) } }) },
  },
  {
    name: "tombstones-lost",
    summary: "deleted rows stay in the changelog",
    sabotage: {
      engine: (ports) => {
        const { log } = ports;
        const openChangelogWriter: Log["openChangelogWriter"] = async (topic, partition) => {
          const writer = await log.openChangelogWriter(topic, partition);
          return {
            commit: (records) => writer.commit(records.filter(({ value }) => value !== null)),
            close: () => writer.close(),
          };
        };
        return { ...ports, log: { ...methodsOf(log), openChangelogWriter } };
      },
    },
  },
  {
    name: "worker-without-mark",
    summary: "a worker runs every request that it reads, repeats included",
    adjust: (scenario) => ({ ...scenario, habits: scenario.habits.map((h) => ({ ...h, forgetsMark: true })) }),
  },
];

type StoreFactory = Parameters<NonNullable<Sabotage["engine"]>>[0]["stores"];

function storesOf(stores: StoreFactory, wrap: (store: Store) => Store): StoreFactory {
  return { open: async (name) => wrap(await stores.open(name)), destroy: (name) => stores.destroy(name) };
}

/** Until it is first scanned, which is when the restore is over. */
function forgetfulAtFirst(store: Store): Store {
  let restoring = true;
  return {
    getMany: (keys) => store.getMany(keys),
    scan: (range) => {
      restoring = false;
      return store.scan(range);
    },
    write: ({ puts, deletes }) =>
      store.write({ puts: restoring ? puts.filter(([key]) => !key.startsWith("t|")) : puts, deletes }),
    close: () => store.close(),
  };
}

export const PLANTS: readonly Plant[] = [...CORE_PLANTS, ...PORT_PLANTS];
