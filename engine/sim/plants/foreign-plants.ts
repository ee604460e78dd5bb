/** Bugs between partitions: copies of events, foreign waits and rules, registrations, marks. */
import type { InboxRecord, InboxRecordOf, StepOp } from "@eddy/schemas";
import {
  FUNCTIONS_KEY,
  isKind,
  type Change,
  type Core,
  type Effect,
  type Input,
  type Row,
  type RowKey,
  type RowView,
} from "../../src/core/index.js";
import { changing, hearing, seeing, viewOf, without, withoutEffects, type Plant } from "./plant.js";

type RowKindOf = Parameters<typeof isKind>[1];

/** A view in which rows of one kind look otherwise. */
function rowsSeen<K extends RowKindOf>(view: RowView, kind: K, seen: (row: Row<K>) => Row<K>): RowView {
  const get = (key: RowKey): Row | null => {
    const row = view.get(key);
    return row !== null && isKind(key, kind) ? (seen(row as Row<K>) as Row) : row;
  };
  return viewOf(view, { get: get as RowView["get"] });
}

function records<K extends InboxRecord["kind"]>(
  kind: K,
  isLost: (record: InboxRecordOf<K>) => boolean = () => true,
): (effect: Effect) => boolean {
  return (effect) =>
    effect.kind === "AppendInbox" && effect.record.kind === kind && isLost(effect.record as InboxRecordOf<K>);
}

const isRepeat = (input: Input): boolean => input.kind === "event" && input.origin?.as === "repeat";

/** A report whose ops are others. */
function withOps(input: Input, other: (op: StepOp) => StepOp | null): Input {
  if (input.kind !== "report") return input;
  return { ...input, report: { ...input.report, ops: input.report.ops.flatMap((op) => other(op) ?? []) } };
}

const toAnotherLane = (op: StepOp): StepOp =>
  op.kind === "waitRequested" && op.value?.startsWith("l:") === true ? { ...op, value: "l:all" } : op;

function withoutCondition(change: Change): Change {
  if (change.kind === "GuestWaitOpened") return { ...change, wait: { ...change.wait, if: null } };
  if (change.kind !== "PendingOpened" || change.item.kind !== "wait") return change;
  return { ...change, item: { ...change.item, if: null } };
}

/** Of two registrations of an app, the one that came first counts, but on partition 0. */
function keepingTheFirst(core: Core): Core {
  return changing(core, (change, { view, moment }) => {
    if (change.kind !== "FunctionsRegistered" || moment.partition === 0) return change;
    const known = view.get(FUNCTIONS_KEY)?.apps.find(({ app }) => app === change.config.app);
    return known === undefined ? change : { ...change, config: { ...change.config, functions: known.functions } };
  });
}

function forgettingWhatWasTaken(core: Core): Core {
  const deaf = hearing(core, (input) => (input.kind === "listen" ? { ...input, taken: [] } : input));
  return seeing(without(deaf, "GuestTook"), (view, input) =>
    input.kind === "answer" ? rowsSeen(view, "run", (row) => ({ ...row, taken: [] })) : view,
  );
}

const COPIES: readonly Plant[] = [
  {
    name: "double-start-by-repeat",
    summary: "a copy that the home repeats is not known by its id",
    sabotage: {
      core: (core) =>
        seeing(core, (view, input) => (isRepeat(input) ? viewOf(view, { indexValue: () => null }) : view)),
    },
  },
  {
    name: "home-does-not-repeat",
    summary: "the home of an event leaves the other copies to the sender",
    sabotage: {
      core: (core) =>
        withoutEffects(
          core,
          records("event", ({ origin }) => origin?.as === "repeat"),
        ),
    },
  },
  {
    name: "source-marks-off",
    summary: "a partition takes what another says as often as it comes",
    sabotage: { core: (core) => without(core, "SourceMarkMoved") },
  },
  {
    name: "offers-lost",
    summary: "events that came before their route are not offered",
    sabotage: {
      core: (core) =>
        withoutEffects(
          core,
          records("event", ({ origin }) => origin?.as === "offer"),
        ),
    },
  },
  {
    name: "past-not-read",
    summary: "a partition does not read its own inbox again",
    sabotage: { core: (core) => seeing(core, (view) => viewOf(view, { pastEvents: () => [] })) },
  },
];

const WAITS: readonly Plant[] = [
  {
    name: "lost-foreign-cancel",
    summary: "a run is not told that its rule was hit on another partition",
    sabotage: {
      core: (core) =>
        withoutEffects(
          core,
          records("answer", ({ answer }) => answer.kind === "cancelled"),
        ),
    },
  },
  {
    name: "wait-overtakes-its-event",
    summary: "a foreign wait does not look at what came before it",
    sabotage: {
      core: (core) =>
        seeing(core, (view, input) =>
          input.kind === "listen"
            ? viewOf(
                rowsSeen(view, "subscription", (row) => ({ ...row, kept: [] })),
                { pastEvents: () => [] },
              )
            : view,
        ),
    },
  },
  {
    name: "timeout-before-settled",
    summary: "a wait by a new route times out though events by older ones may be under way",
    sabotage: {
      core: (core) =>
        seeing(core, (view, input) =>
          input.kind === "timerDue" && input.timer.target.kind !== "settle"
            ? rowsSeen(view, "partition", (row) => ({ ...row, settling: [] }))
            : view,
        ),
    },
  },
  {
    name: "leaked-guest",
    summary: "other partitions are not told that a run is over",
    sabotage: {
      core: (core) =>
        withoutEffects(
          core,
          records("unlisten", ({ no }) => no === null),
        ),
    },
  },
  {
    name: "announced-ignored",
    summary: "who announces a run that does not live is not told so",
    sabotage: {
      core: (core) => ({
        ...core,
        decide: (view, input, moment) => {
          const decision = core.decide(view, input, moment);
          if (input.kind !== "announced") return decision;
          return { ...decision, effects: decision.effects.filter((effect) => !records("unlisten")(effect)) };
        },
      }),
    },
  },
  {
    name: "resolve-taken-twice",
    summary: "an event of another partition resolves two waits of a run: neither side remembers what was taken",
    sabotage: { core: forgettingWhatWasTaken },
  },
  {
    name: "mark-not-deferred",
    summary: "the mark moves while a step runs that may have caused an event for its own branch",
    sabotage: {
      core: (core) =>
        changing(core, (change) => (change.kind === "MarkPostponed" ? { ...change, kind: "MarkMoved" } : change)),
    },
  },
  {
    name: "withdrawn-ignored",
    summary: "a wait that lost a race goes on and takes an event",
    sabotage: {
      core: (core) => hearing(core, (input) => withOps(input, (op) => (op.kind === "withdrawn" ? null : op))),
    },
  },
  {
    name: "residual-not-asked",
    summary: "an event at the right key resolves a wait whatever else its condition says",
    sabotage: { core: (core) => changing(core, withoutCondition) },
  },
  {
    name: "wrong-lane",
    summary: "waits without a key listen in a lane of another name than their events come by",
    sabotage: { core: (core) => hearing(core, (input) => withOps(input, toAnotherLane)) },
  },
];

const REGISTRATIONS: readonly Plant[] = [
  {
    name: "registration-order",
    summary: "partitions apply registrations in different orders",
    sabotage: { core: keepingTheFirst },
  },
  {
    name: "learn-ignored",
    summary: "what a run waits for and nobody routes by is not registered",
    sabotage: { core: (core) => withoutEffects(core, records("learn")) },
  },
];

export const FOREIGN_PLANTS: readonly Plant[] = [...COPIES, ...WAITS, ...REGISTRATIONS];
