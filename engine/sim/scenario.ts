/** What happens in a seed besides trouble: who is there, which functions, what is sent when. */
import type { Prng } from "./prng.js";
import { LIMITS, type FunctionConfig } from "@eddy/schemas";
import { CALM, drawFaults, type FaultPlan } from "./faults.js";
import { CANCELS, drawScripts, REPLIES, TRIGGERS } from "./script/generate.js";
import type { Script } from "./script/script.js";
import type { Habits } from "./actors/worker.js";
import type { SimEvent } from "./actors/send.js";
import type { PartitionOptions } from "../src/partition/options.js";
import type { RowLimits } from "./row-limits.js";
import { EPOCH_MS } from "./trace.js";

const WHOLE_BYTES = LIMITS.wholeRequestBytesMax;

export type Action =
  | { readonly kind: "send"; readonly event: SimEvent }
  | { readonly kind: "advance"; readonly ms: number }
  /** Cancels the run that was started last. */
  | { readonly kind: "cancelRun" }
  /** An app registers again: as before, or with other retries and timeouts. */
  | { readonly kind: "register"; readonly app: string; readonly functions: readonly FunctionConfig[] }
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
  readonly timeline: readonly Timed[];
}

export function drawScenario(rng: Prng): Scenario {
  const partitions = rng.between(1, 4);
  const apps = rng.chance(0.8) ? ["shop"] : ["shop", "mail"];
  const workers = rng.between(1, apps.length === 1 ? 3 : 2);
  const parallel = rng.chance(0.25);
  const scripts = apps.flatMap((app) => drawScripts(rng.fork(), app, parallel));
  return {
    partitions,
    engines: rng.between(1, 3),
    apps,
    workers,
    scripts,
    faults: rng.chance(0.1) ? CALM : drawFaults(rng.fork()),
    habits: Array.from({ length: workers * apps.length }, () => drawHabits(rng)),
    options: drawOptions(rng),
    limits: {
      subscriptionsPerChunkMax: rng.pick([2, 5, 64]),
      idsPerChunkMax: rng.pick([2, 256]),
      wholeRequestBytesMax: rng.pick([0, 400, WHOLE_BYTES, WHOLE_BYTES]),
    },
    timeline: drawTimeline(rng.fork(), { partitions, apps, scripts }),
  };
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
  readonly keys: readonly unknown[];
  readonly sent: SimEvent[];
  readonly of: Pick<Scenario, "partitions" | "apps" | "scripts">;
}

function drawTimeline(rng: Prng, of: Drawing["of"]): readonly Timed[] {
  const keys = ["k1", 1, "1", "k2", true].slice(0, rng.between(1, 5));
  const drawing: Drawing = { rng, keys, sent: [], of };
  const lastsMs = rng.between(20, 150) * 1_000;
  const timeline: Timed[] = [];
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
    [0.4, "register"],
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
      const key = rng.pick(drawing.keys);
      const length = kind === "burst" ? rng.between(3, 12) : rng.between(80, 160);
      return Array.from({ length }, () => ({ kind: "send", event: drawEvent(drawing, key) }));
    }
    case "resend": {
      const again = rng.pick(sent);
      const other = rng.chance(0.3) ? { ...again, data: { ...again.data, k: rng.pick(drawing.keys), j: null } } : again;
      return [{ kind: "send", event: other }];
    }
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
    case "register": {
      const app = rng.pick(of.apps);
      const configs = of.scripts.filter((script) => script.app === app).map((script) => script.config);
      return [{ kind, app, functions: configs.map((config) => (rng.chance(0.5) ? config : redrawn(rng, config))) }];
    }
  }
}

/**
 * Another version of a function. What it listens to and starts on never grows or vanishes: senders with an older view
 * do not route by a new path yet, and nobody routes by one that no function declares any more.
 */
function redrawn(rng: Prng, config: FunctionConfig): FunctionConfig {
  return {
    ...config,
    retries: rng.pick([0, 1, 3]),
    cancelOn: config.cancelOn.map((rule) => ({ ...rule, timeout: rng.chance(0.5) ? null : { ms: 20_000 } })),
  };
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

function drawEvent({ rng, keys, sent }: Drawing, key: unknown = rng.pick(keys)): SimEvent {
  const name = rng.weighted([
    [6, rng.pick(TRIGGERS)],
    [4, rng.pick(REPLIES)],
    [1, rng.pick(CANCELS)],
  ]);
  const future = rng.chance(0.08) ? rng.between(1, 100) * 1_000 : 0;
  const event: SimEvent = {
    id: `e${sent.length + 1}`,
    idFrom: rng.chance(0.5) ? "user" : "generated",
    name,
    ts: EPOCH_MS + future,
    data: { k: rng.chance(0.95) ? key : null, j: rng.chance(0.6) ? key : rng.pick(keys), ...drawPadding(rng) },
  };
  sent.push(event);
  return event;
}
