/**
 * A shop that is open while its engines, workers and brokers are in trouble, and what its owner saw: when each event was
 * sent and acknowledged, how each run ended. Carts are numbers; every second one is bought.
 */
import type { RunSummary, TimelineLine } from "@eddy/schemas";
import type { Eddy } from "@eddy/sdk";
import { until } from "../until.js";
import { toldIdOf } from "./flow.js";

const LOOK_UPS_AT_ONCE = 50;
const LOOK_UP_MS_MAX = 5_000;
/** Engines that are away for longer than the SDK tries are the sender's to wait for: his ids make repeats harmless. */
const SEND_MS_MAX = 180_000;

/** ms since 1970, by this machine's clock: the call, and its acknowledgement. */
export interface Sent {
  readonly calledAtMs: number;
  readonly acknowledgedAtMs: number;
}
type Name = "added" | "bought";

export const isBuyer = (cart: number): boolean => cart % 2 === 0;
export const carts = (count: number, from = 0): readonly number[] => Array.from({ length: count }, (_, i) => from + i);

export class Shop {
  readonly added = new Map<number, Sent>();
  readonly bought = new Map<number, Sent>();
  /** Runs that have ended, by cart. */
  readonly runs = new Map<number, RunSummary>();
  readonly #senders: readonly Eddy[];
  readonly #urls: readonly string[];
  #turn = 0;

  /** @param urls of the engines' gateways; look-ups go round them, as sends go round the senders */
  constructor(senders: readonly Eddy[], urls: readonly string[]) {
    this.#senders = senders;
    this.#urls = urls;
  }

  async send(name: Name, numbers: readonly number[]): Promise<void> {
    const events = numbers.map((n) => ({ name, id: `${name}-${n}`, data: { n } }));
    const calledAtMs = Date.now();
    const ask = (): Promise<unknown> =>
      this.#next(this.#senders)
        .send(events)
        .catch(() => null);
    await until(`${name} ${numbers[0]} and ${numbers.length - 1} more are acknowledged`, ask, SEND_MS_MAX);
    const acknowledgedAtMs = Date.now();
    for (const n of numbers) this[name].set(n, { calledAtMs, acknowledgedAtMs });
  }
  /** Puts products into carts, and buys every second one as soon as that is acknowledged. */
  async serve(numbers: readonly number[]): Promise<void> {
    await this.send("added", numbers);
    await this.send("bought", numbers.filter(isBuyer));
  }

  /** Resolves when the runs of these carts have ended. */
  async ended(numbers: readonly number[], patienceMs: number, everyRound?: () => Promise<unknown>): Promise<void> {
    const open = (): number[] => numbers.filter((n) => !this.runs.has(n));
    const probe = async (): Promise<true | null> => {
      await everyRound?.();
      await inTurns(open(), (n) => this.#lookUp(n));
      return open().length === 0 || null;
    };
    await until("the runs have ended", probe, patienceMs).catch((cause: unknown) => {
      throw new Error(`still running after ${patienceMs} ms: the runs of carts ${open().join(" ")}`, { cause });
    });
  }
  async #lookUp(cart: number): Promise<void> {
    const reply = (await this.#get(`/v1/events/added-${cart}/runs`)) as { readonly data: readonly RunSummary[] } | null;
    if (reply === null) return;
    if (reply.data.length > 1) throw new Error(`cart ${cart} has ${reply.data.length} runs`);
    const [run] = reply.data;
    if (run !== undefined && run.status !== "Running") this.runs.set(cart, run);
  }

  /** Of the runs that have ended, by cart. */
  async timelines(patienceMs: number): Promise<ReadonlyMap<number, readonly TimelineLine[]>> {
    const found = new Map<number, readonly TimelineLine[]>();
    await inTurns([...this.runs], async ([cart, { run_id }]) => {
      const ask = () => this.#get(`/v1/runs/${run_id}/timeline`);
      const reply = (await until(`there is a timeline of ${run_id}`, ask, patienceMs)) as { data: TimelineLine[] };
      found.set(cart, reply.data);
    });
    return found;
  }

  /** What the events have started that these runs sent: each at least one run, and all ended. By cart. */
  async notices(patienceMs: number): Promise<ReadonlyMap<number, readonly RunSummary[]>> {
    const found = new Map<number, readonly RunSummary[]>();
    await inTurns([...this.runs], async ([cart, { run_id }]) => {
      const ask = async (): Promise<readonly RunSummary[] | null> => {
        const reply = await this.#get(`/v1/events/${encodeURIComponent(toldIdOf(run_id))}/runs`);
        const { data } = (reply ?? { data: [] }) as { readonly data: readonly RunSummary[] };
        return data.length > 0 && data.every(({ status }) => status !== "Running") ? data : null;
      };
      found.set(cart, await until(`the notice of cart ${cart} has ended`, ask, patienceMs));
    });
    return found;
  }

  /** @returns null where the engine is away or cannot tell yet */
  async #get(path: string): Promise<unknown> {
    const signal = AbortSignal.timeout(LOOK_UP_MS_MAX);
    const reply = await fetch(this.#next(this.#urls) + path, { signal }).catch(() => null);
    if (reply === null || reply.status === 503) return null;
    // A body may break off with its engine.
    const body: unknown = await reply.json().catch(() => null);
    if (reply.ok || body === null) return body;
    throw new Error(`GET ${path}: ${reply.status} ${JSON.stringify(body)}`);
  }
  #next<T>(items: readonly T[]): T {
    return items[this.#turn++ % items.length] as T;
  }
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += LOOK_UPS_AT_ONCE) {
    await Promise.all(items.slice(i, i + LOOK_UPS_AT_ONCE).map(work));
  }
}
