/** What happens in a seed besides trouble: who is there, which functions, what is sent when. */
import type { Prng } from "./prng.js";
import { BROKER_SKEW_MS, LIMITS, type FunctionConfig } from "@eddy/schemas";
import { CALM, drawFaults, type FaultPlan } from "./faults.js";
import { CANCELS, REPLIES, TRIGGERS, UNDECLARED } from "./script/drawing.js";
import { NUMBER_MAX } from "./script/draw-listen.js";
import { drawScripts } from "./script/generate.js";
import { versionOf, type Scalar, type Script } from "./script/script.js";
import { changedConfig } from "./script/versions.js";
import type { Habits } from "./actors/worker.js";
import type { SenderHabits, SimEvent } from "./actors/send.js";
import { CLOCK_AHEAD_MS_MAX } from "./ports/sim-log.js";
import type { PartitionOptions } from "../src/partition/options.js";
import type { RowLimits } from "./row-limits.js";
import { EPOCH_MS } from "./trace.js";

const WHOLE_BYTES = LIMITS.wholeRequestBytesMax;
const { resultInlineBytesMax, runInlineBytesMax, requestPartBytesMax } = LIMITS;

export type Action =
  | { readonly kind: "send"; readonly event: SimEvent }
  | { readonly kind: "advance"; readonly ms: number }
  /** Cancels the run that was started last. */
  | { readonly kind: "cancelRun" }
  /** An app registers, or registers again: as before, or with functions added, changed or removed. */
  | { readonly kind: "register"; readonly app: string; readonly functions: readonly FunctionConfig[] }
  /** The workers of an app are replaced by those of its next version, one after the other. */
  | { readonly kind: "deploy"; readonly app: string }
  | { readonly kind: "garbage"; readonly partition: number }
  | { readonly kind: "tick"; readonly partition: number }
  /** A record that no honest worker writes. */
  | { readonly kind: "bogus"; readonly partition: number }
  /** The engines are replaced by the next version, one after the other. */
  | { readonly kind: "upgrade" };

export interface Timed {
  readonly afterMs: number;
  readonly action: Action;
}

export interface Scenario {
  readonly partitions: number;
  readonly engines: number;
  readonly apps: readonly string[];
  /** Of each app. */
  readonly workers: number;
  readonly scripts: readonly Script[];
  readonly faults: FaultPlan;
  readonly habits: readonly Habits[];
  readonly options: Partial<PartitionOptions>;
  readonly limits: RowLimits;
  /** Whose registrations are in force before trouble and the timeline begin. The others come in the timeline. */
  readonly early: readonly string[];
  readonly senders: SenderHabits;
  /** Told with each registration: no less than what the senders need. */
  readonly settleMs: number;
  /** By which each inbox partition's append times are ahead, in ms. */
  readonly skewsMs: readonly number[];
  readonly timeline: readonly Timed[];
}

/** Brokers' clocks differ by at most this. */
const SKEW_MS_MAX = BROKER_SKEW_MS / 2;
const VALUES: readonly Scalar[] = ["k1", 1, "1", "k2", true, "k3", 7, "k4"];

export function drawScenario(rng: Prng): Scenario {
  const partitions = rng.between(1, 4);
  const apps = rng.chance(0.8) ? ["shop"] : ["shop", "mail"];
  const workers = rng.between(1, apps.length === 1 ? 3 : 2);
  const keys = VALUES.slice(0, rng.between(1, VALUES.length));
  const style = {
    parallel: rng.chance(0.4),
    mixed: rng.weighted([
      [2, 0.05],
      [3, 0.4],
      [2, 1],
    ]),
    keys,
    declared: rng.pick([0.3, 0.9, 0.9, 1]),
    versions: rng.chance(0.25) ? 0.6 : 0,
  };
  const scripts = apps.flatMap((app) => drawScripts(rng.fork(), app, style));
  const faults = rng.chance(0.1) ? CALM : drawFaults(rng.fork());
  const senders = drawSenders(rng);
  const early = apps.filter(() => rng.chance(0.6));
  const scenario = {
    ...{ partitions, apps, workers, scripts, faults, early, senders },
    engines: rng.between(1, 3),
    habits: Array.from({ length: workers * apps.length }, () => drawHabits(rng)),
    options: drawOptions(rng),
    limits: {
      subscriptionsPerChunkMax: rng.pick([2, 5, 64]),
      idsPerChunkMax: rng.pick([2, 256]),
      wholeRequestBytesMax: rng.pick([0, 400, WHOLE_BYTES, WHOLE_BYTES]),
    },
    settleMs: settleMsFor(senders, faults) + (rng.chance(0.5) ? 0 : rng.between(0, 8_000)),
    skewsMs: Array.from({ length: partitions }, () => (rng.chance(0.5) ? 0 : rng.between(0, SKEW_MS_MAX))),
    timeline: drawTimeline(rng.fork(), {
      partitions,
      apps,
      scripts,
      keys,
      late: apps.filter((a) => !early.includes(a)),
    }),
  };
  return { ...scenario, limits: { ...scenario.limits, ...drawResultLimits(rng) } };
}

/** Results of scripts take some twenty bytes and their padding, events some hundred; a request's fixed part counts 4 KiB. */
function drawResultLimits(
  rng: Prng,
): Pick<RowLimits, "resultInlineBytesMax" | "runInlineBytesMax" | "requestPartBytesMax"> {
  return {
    resultInlineBytesMax: rng.pick([resultInlineBytesMax, 0, 60, 500]),
    runInlineBytesMax: rng.pick([runInlineBytesMax, runInlineBytesMax, 50]),
    requestPartBytesMax: rng.pick([requestPartBytesMax, 500, 5_000]),
  };
}

function drawSenders(rng: Prng): SenderHabits {
  return {
    staleMsMax: rng.pick([0, 0, 500, 5_000]),
    patienceMs: rng.pick([500, 3_000]),
    crashes: rng.chance(0.3) ? 0.3 : 0,
    repeats: rng.chance(0.2) ? 0.2 : 0,
  };
}

/** From what its view is of to its answer, and what the brokers' clocks may do in that time. */
function settleMsFor({ staleMsMax, patienceMs }: SenderHabits, { troubles }: FaultPlan): number {
  const jumps = troubles.some(([, kind]) => kind === "broker clock");
  return staleMsMax + patienceMs + SKEW_MS_MAX + (jumps ? CLOCK_AHEAD_MS_MAX : 0);
}

function drawHabits(rng: Prng): Habits {
  return {
    ignoresLease: rng.chance(0.2),
    twice: rng.chance(0.3) ? 0.2 : 0,
    late: rng.chance(0.2) ? 0.1 : 0,
    merges: rng.chance(0.4),
    splits: rng.chance(0.2),
    ignoresPending: rng.chance(0.15),
    declines: rng.weighted([
      [5, 0],
      [2, 0.5],
      [2, 1],
    ]),
  };
}

/** Narrow limits, so that small scenarios meet every one of them. */
function drawOptions(rng: Prng): Partial<PartitionOptions> {
  return {
    checkpointEveryMs: rng.pick([200, 1_000, 1_000, 5_000, 30_000]),
    changedRowsMax: rng.pick([4, 20, 10_000]),
    recordsMax: rng.pick([5, 50, 20_000]),
    batchRecordsMax: rng.pick([1, 3, 20, 1_000]),
    timersPerTurnMax: rng.pick([1, 2, 1_000]),
    cacheBytesMax: rng.pick([1_000, 10_000, 64 * 1_048_576]),
    unackedEffectsMax: rng.pick([2, 20, 20_000]),
    triesMax: rng.pick([2, 60, 60]),
    takeoversMax: rng.pick([2, 5]),
  };
}

interface Drawing {
  readonly rng: Prng;
  readonly sent: SimEvent[];
  readonly of: Pick<Scenario, "partitions" | "apps" | "scripts"> & {
    readonly keys: readonly Scalar[];
    /** Apps that register for the first time in the timeline. */
    readonly late: readonly string[];
  };
}

function drawTimeline(rng: Prng, of: Drawing["of"]): readonly Timed[] {
  const drawing: Drawing = { rng, sent: [], of };
  const lastsMs = rng.between(20, 150) * 1_000;
  const timeline: Timed[] = [];
  for (const app of of.late)
    timeline.push({ afterMs: rng.between(0, lastsMs / 3), action: drawRegistration(drawing, app) });
  for (const app of of.apps.filter((a) => of.scripts.some((s) => s.app === a && s.versions.length > 0))) {
    const afterMs = rng.between(lastsMs / 4, lastsMs);
    timeline.push({ afterMs, action: { kind: "deploy", app } });
    timeline.push({ afterMs: afterMs + rng.between(0, 5_000), action: drawRegistration(drawing, app, 1) });
  }
  const moments = rng.between(6, 30);
  for (let i = 0; i < moments; i++) {
    const afterMs = rng.between(0, lastsMs);
    timeline.push(...drawMoment(drawing).map((action) => ({ afterMs, action })));
  }
  return timeline.sort((a, b) => a.afterMs - b.afterMs);
}

function drawMoment(drawing: Drawing): Action[] {
  const { rng, sent, of } = drawing;
  const kind = rng.weighted([
    [14, "send"],
    [2, "burst"],
    [0.05, "flood"],
    [sent.length > 0 ? 2 : 0, "resend"],
    [2, "advance"],
    [0.5, "cancelRun"],
    [0.6, "register"],
    [0.5, "garbage"],
    [0.5, "tick"],
    [1, "bogus"],
    [0.1, "upgrade"],
  ] as const);
  switch (kind) {
    case "send":
      return [{ kind, event: drawEvent(drawing) }];
    case "burst":
    case "flood": {
      const key = rng.pick(of.keys);
      const length = kind === "burst" ? rng.between(3, 12) : rng.between(80, 160);
      return Array.from({ length }, () => ({ kind: "send", event: drawEvent(drawing, key) }));
    }
    case "resend":
      return [{ kind: "send", event: rng.pick(sent) }];
    case "advance":
      return [
        {
          kind,
          ms: rng.weighted([
            [3, rng.between(1, 30) * 1_000],
            [2, rng.between(1, 60) * 60_000],
            [1, 26 * 3_600_000],
          ]),
        },
      ];
    case "garbage":
    case "tick":
    case "bogus":
      return [{ kind, partition: rng.between(0, of.partitions - 1) }];
    case "cancelRun":
    case "upgrade":
      return [{ kind }];
    case "register":
      return [drawRegistration(drawing, rng.pick(of.apps))];
  }
}

/** Whatever an app may come to say: all of its functions or some, as they are written or otherwise, of now or of later. */
function drawRegistration({ rng, of }: Drawing, app: string, version = rng.chance(0.2) ? 1 : 0): Action {
  const own = of.scripts.filter((script) => script.app === app && rng.chance(0.9));
  const functions = own.map((script) => {
    const { config } = versionOf(script, version);
    return rng.chance(0.7) ? config : changedConfig(rng, config);
  });
  return { kind: "register", app, functions };
}

/** Most events are small; some come near the size at which requests stop to go whole, or exceed it by themselves. */
function drawPadding(rng: Prng): { readonly pad?: string } {
  const bytes = rng.weighted([
    [12, 0],
    [1, rng.between(1, WHOLE_BYTES)],
    [1, rng.between(WHOLE_BYTES - 300, WHOLE_BYTES + 300)],
  ]);
  return bytes === 0 ? {} : { pad: "-".repeat(bytes) };
}

function drawEvent({ rng, sent, of: { keys } }: Drawing, key: Scalar = rng.pick(keys)): SimEvent {
  const name = rng.weighted<string>([
    [6, rng.pick(TRIGGERS)],
    [4, rng.pick(REPLIES)],
    [1, rng.pick(CANCELS)],
    [0.5, rng.pick(UNDECLARED)],
  ]);
  const future = rng.chance(0.08) ? rng.between(1, 100) * 1_000 : 0;
  const other = (same: number): Scalar => (rng.chance(same) ? key : rng.chance(0.95) ? rng.pick(keys) : null);
  const event: SimEvent = {
    id: `e${sent.length + 1}`,
    idFrom: rng.chance(0.5) ? "user" : "generated",
    name,
    ts: EPOCH_MS + future,
    data: {
      k: rng.chance(0.95) ? key : null,
      j: other(0.6),
      u: other(0.3),
      n: rng.between(0, NUMBER_MAX),
      ...drawPadding(rng),
    },
  };
  sent.push(event);
  return event;
}
