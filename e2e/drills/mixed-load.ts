/**
 * Runs of all sorts, in bounded load: local, foreign and lane waits, rules at two keys, conditions with a constant of
 * their own, races, waits that nobody declared, events to themselves. It knows how each must end.
 */
import type { Eddy, EddyFunction } from "@eddy/sdk";
import { until } from "../until.js";
import { APP } from "./flow.js";

/** Runs whose events are sent in one go. */
const BATCH = 200;
const IN_FLIGHT_MAX = 1_500;
/** How long nothing may end while runs are in flight, in ms. */
const STANDSTILL_MS_MAX = 60_000;
const LISTED = 20;
/** A wait with a constant of its own is never declared: each reads the inbox again, which is dear. */
const OWN_EVERY = 80;
/** Of those of kind `all`: a result that has a row of its own. */
const LARGE_EVERY = 80;
const LARGE = "x".repeat(40_000);
const TOLD_EVERY = 10_000;

const KINDS = ["waits", "timeout", "cancelled", "slept", "raced", "all", "own", "lane"] as const;
type Kind = (typeof KINDS)[number];
const kindOf = (n: number): Kind => KINDS[n % KINDS.length] as Kind;

/** Not literal, so that nobody foresees the wait. */
const joined = (...parts: readonly string[]): string => parts.join("");
const keysOf = (n: number) => ({ n, a: `a${n}`, b: `b${n}`, c: `c${n}`, d: `d${n}` });
const event = (name: string, n: number) => ({ name: `mixed/${name}`, data: keysOf(n) });

/** What is sent once the trigger is acknowledged. */
const AFTERWARDS: Readonly<Record<Kind, readonly string[]>> = {
  waits: ["near", "far", "own"],
  timeout: [],
  cancelled: ["off"],
  slept: [],
  raced: ["far"],
  all: ["near", "learned"],
  own: [],
  lane: [],
};

export class MixedLoad {
  /** The run that ended so, by its number; `cancelled` are counted as they are told so. */
  readonly ended = new Map<number, string>();
  readonly problems: string[] = [];
  readonly #client: Eddy;

  /** @param client sends */
  constructor(client: Eddy) {
    this.#client = client;
  }

  /** They tell this object of their ends: for a worker in this process. */
  functions(): readonly EddyFunction[] {
    return [this.#mixed()];
  }

  #mixed(): EddyFunction {
    return this.#client.createFunction(
      {
        id: "mixed",
        triggers: [{ event: "mixed/made" }],
        cancelOn: [
          { event: "mixed/never", match: "data.a" },
          { event: "mixed/off", if: "async.data.b == event.data.b", timeout: "7d" },
        ],
      },
      async ({ event: { data }, step, runId }) => {
        const n = data.n as number;
        const near = (timeout: string) => step.waitForEvent("near", { event: "mixed/near", match: "data.a", timeout });
        // What is sent in one go may be logged in any order, partition by partition: so not from the last wait's end on.
        const far = (timeout: string) =>
          step.waitForEvent("far", { event: "mixed/far", match: "data.c", timeout, since: "trigger" });
        const work: Readonly<Record<Kind, () => Promise<unknown>>> = {
          waits: async () => {
            const found = [await near("1d"), await far("1d")];
            if (n % OWN_EVERY === 0) {
              await step.waitForEvent("own", { event: "mixed/own", if: `async.data.d == "d${n}"`, timeout: "2s" });
            }
            return found.every((one) => one?.data.n === n);
          },
          timeout: async () => (await near("1s")) === null && (await far("1s")) === null,
          cancelled: async () => (await near("1d")) !== null,
          slept: async () => (await Promise.race([far("1d"), step.sleep("nap", "1s")])) === undefined,
          raced: async () => (await Promise.race([step.sleep("nap", "1d"), far("1d")]))?.data.n === n,
          all: async () => {
            const learned = { event: joined("mixed/", "learned"), match: joined("data.", "d"), timeout: "1d" };
            const [one, other, made] = await Promise.all([
              near("1d"),
              step.waitForEvent("learned", learned),
              step.run("made", () => ({ n, pad: n % LARGE_EVERY === 5 ? LARGE : "" })),
            ]);
            return one?.data.n === n && other?.data.n === n && made.n === n;
          },
          own: async () => {
            const told = { event: "mixed/told", match: "data.d", timeout: "1d" } as const;
            const [got, sent] = await Promise.all([
              step.waitForEvent("told", told),
              step.sendEvent("tell", event("told", n)),
            ]);
            return got?.id === sent.ids[0];
          },
          lane: async () => {
            await step.waitForEvent("any", { event: "mixed/any", timeout: "1s" });
            return true;
          },
        };
        const isRight = await work[kindOf(n)]();
        await step.run("end", () => this.#end(n, runId, isRight));
      },
    );
  }

  #end(n: number, runId: string, isRight: unknown): void {
    if (isRight !== true) this.problems.push(`run ${n} (${kindOf(n)}): what it got is not what was sent`);
    const before = this.ended.get(n);
    if (before !== undefined && before !== runId) this.problems.push(`run ${n} (${kindOf(n)}) has two runs`);
    this.ended.set(n, runId);
  }

  /** Resolves when all of them have ended. @throws Error naming those that have not */
  async serve(runs: number): Promise<void> {
    const began = Date.now();
    const sending = new Set<Promise<void>>();
    for (let from = 0; from < runs; from += BATCH) {
      const numbers = Array.from({ length: Math.min(BATCH, runs - from) }, (_, i) => from + i);
      const sent = this.#send(numbers);
      sending.add(sent);
      // Told where it is waited for.
      sent.then(() => sending.delete(sent)).catch(() => undefined);
      await this.#ended(from + numbers.length - IN_FLIGHT_MAX);
      if (from > 0 && from % TOLD_EVERY === 0) this.#tell(began);
    }
    await Promise.all(sending);
    await this.#ended(runs);
  }

  #tell(began: number): void {
    const perSecond = Math.round((this.ended.size * 1_000) / (Date.now() - began));
    console.log(`${this.ended.size} runs have ended, ${perSecond} a second`);
  }

  async #send(numbers: readonly number[]): Promise<void> {
    // Half of them with an id of the user's: those are remembered longer.
    const made = numbers.map((n) => ({ ...event("made", n), ...(n % 2 === 0 ? { id: `made-${APP}-${n}` } : {}) }));
    await this.#client.send(made);
    const after = numbers.flatMap((n) => AFTERWARDS[kindOf(n)].map((name) => event(name, n)));
    await this.#client.send([...after, event("any", 0)]);
    for (const n of numbers) if (kindOf(n) === "cancelled") this.ended.set(n, "cancelled");
  }

  /** Waits until so many have ended. */
  async #ended(count: number): Promise<void> {
    let [last, since] = [this.ended.size, Date.now()];
    await until(
      `${count} runs have ended`,
      () => {
        if (this.ended.size !== last) [last, since] = [this.ended.size, Date.now()];
        if (Date.now() - since > STANDSTILL_MS_MAX) throw new Error(this.#stuck(count));
        return this.ended.size >= count || null;
      },
      Number.MAX_SAFE_INTEGER,
    );
  }
  #stuck(count: number): string {
    const open = Array.from({ length: count }, (_, n) => n).filter((n) => !this.ended.has(n));
    const listed = open.slice(0, LISTED).map((n) => `${n} (${kindOf(n)})`);
    return `no run ended for ${STANDSTILL_MS_MAX} ms; ${open.length} are open: ${listed.join(", ")}`;
  }
}
