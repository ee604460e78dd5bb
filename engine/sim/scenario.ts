/** What happens in a seed besides trouble: who is there, which functions, what is sent when. */
import type { Prng } from "./prng.js";
import { drawFaults, type FaultPlan } from "./faults.js";
import { CANCELS, drawScripts, REPLIES, TRIGGERS } from "./script/generate.js";
import type { Script } from "./script/script.js";
import type { Habits } from "./actors/worker.js";
import type { SimEvent } from "./actors/send.js";
import type { PartitionOptions } from "../src/partition/options.js";
import { EPOCH_MS } from "./trace.js";

export type Action =
  | { readonly kind: "send"; readonly event: SimEvent }
  /** The same event again. */
  | { readonly kind: "advance"; readonly ms: number }
  /** Cancels the run that was started last. */
  | { readonly kind: "cancelRun" }
  | { readonly kind: "register" }
  | { readonly kind: "garbage"; readonly partition: number }
  | { readonly kind: "tick"; readonly partition: number };

export interface Timed {
  readonly afterMs: number;
  readonly action: Action;
}

export interface Scenario {
  readonly partitions: number;
  readonly engines: number;
  readonly workers: number;
  readonly scripts: readonly Script[];
  readonly faults: FaultPlan;
  readonly habits: readonly Habits[];
  readonly options: Partial<PartitionOptions>;
  readonly timeline: readonly Timed[];
}

export const APP = "shop";

export function drawScenario(rng: Prng): Scenario {
  const partitions = rng.between(1, 4);
  const workers = rng.between(1, 3);
  return {
    partitions,
    engines: rng.between(1, 3),
    workers,
    scripts: drawScripts(rng.fork(), APP, rng.chance(0.25)),
    faults: rng.chance(0.1)
      ? { ...drawFaults(rng), errors: 0, crashes: 0, everyMs: 1_000_000 }
      : drawFaults(rng.fork()),
    habits: Array.from({ length: workers }, () => drawHabits(rng)),
    options: drawOptions(rng),
    timeline: drawTimeline(rng.fork(), partitions),
  };
}

function drawHabits(rng: Prng): Habits {
  return {
    ignoresLease: rng.chance(0.2),
    twice: rng.chance(0.3) ? 0.2 : 0,
    late: rng.chance(0.2) ? 0.1 : 0,
    merges: rng.chance(0.4),
    splits: rng.chance(0.2),
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
  };
}

interface Drawing {
  readonly rng: Prng;
  readonly keys: readonly unknown[];
  readonly sent: SimEvent[];
}

function drawTimeline(rng: Prng, partitions: number): readonly Timed[] {
  const keys = ["k1", 1, "1", "k2", true].slice(0, rng.between(1, 5));
  const drawing: Drawing = { rng, keys, sent: [] };
  const lastsMs = rng.between(20, 150) * 1_000;
  const timeline: Timed[] = [];
  const moments = rng.between(6, 30);
  for (let i = 0; i < moments; i++) {
    const afterMs = rng.between(0, lastsMs);
    timeline.push(...drawMoment(drawing, partitions).map((action) => ({ afterMs, action })));
  }
  return timeline.sort((a, b) => a.afterMs - b.afterMs);
}

function drawMoment(drawing: Drawing, partitions: number): Action[] {
  const { rng, sent } = drawing;
  const kind = rng.weighted([
    [14, "send"],
    [2, "burst"],
    [sent.length > 0 ? 2 : 0, "resend"],
    [2, "advance"],
    [0.5, "cancelRun"],
    [0.3, "register"],
    [0.5, "garbage"],
    [0.5, "tick"],
  ] as const);
  switch (kind) {
    case "send":
      return [{ kind, event: drawEvent(drawing) }];
    case "burst": {
      const key = rng.pick(drawing.keys);
      return Array.from({ length: rng.between(3, 12) }, () => ({ kind: "send", event: drawEvent(drawing, key) }));
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
      return [{ kind, partition: rng.between(0, partitions - 1) }];
    case "cancelRun":
    case "register":
      return [{ kind }];
  }
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
    data: { k: rng.chance(0.95) ? key : null, j: rng.chance(0.6) ? key : rng.pick(keys) },
  };
  sent.push(event);
  return event;
}
