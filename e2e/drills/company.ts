/** The processes of a drill on Kafka: engines by `eddy start`, workers over Kafka, a shop, and what becomes of it. */
import { join } from "node:path";
import { Eddy } from "@eddy/sdk";
import { uniqueNamespace } from "../world.js";
import { APP } from "./flow.js";
import { judge } from "./judge.js";
import { Ledger } from "./ledger.js";
import { Processes, type DrillProcess, type EngineProcess } from "./processes.js";
import { historyTimes, longestPause, SILENT } from "./progress.js";
import { carts, Shop } from "./shop.js";

export interface CompanyOptions {
  /** Of the drill. */
  readonly name: string;
  readonly brokers: readonly string[];
  /** Is one copy of the data enough? */
  readonly dev: boolean;
  readonly engines: number;
  /** How each worker process is connected; `gateway`: to the last engine's. */
  readonly workers: readonly ("kafka" | "gateway")[];
  /** Of the wait, in ms of real time. */
  readonly timeoutMs: number;
}

export interface Load {
  readonly runs: number;
  /** How long it takes to send them, in ms. */
  readonly lastsMs: number;
}

/** Something that happens when this share of the load has been sent, 0 to 1; one after the other. */
export interface Trouble {
  readonly at: number;
  readonly what: string;
  readonly make: (company: Company) => Promise<void>;
}

const BATCHES_A_SECOND = 5;

export class Company {
  readonly shop: Shop;
  readonly ledger: Ledger;
  /** By trouble and partition: the longest time without progress while it lasted, in ms. */
  readonly pauses = new Map<string, readonly number[]>();

  private constructor(
    readonly options: CompanyOptions,
    readonly namespace: string,
    readonly engines: readonly EngineProcess[],
    readonly workers: readonly DrillProcess[],
    private readonly processes: Processes,
    private readonly senders: readonly Eddy[],
    ledger: Ledger,
  ) {
    this.ledger = ledger;
    this.shop = new Shop(
      senders,
      engines.map(({ url }) => url),
    );
  }

  /** Makes what it is told, and starts nothing. */
  static async open(options: CompanyOptions): Promise<Company> {
    const { name, brokers, dev, timeoutMs } = options;
    const namespace = uniqueNamespace();
    const processes = await Processes.open(name);
    const onKafka = { brokers, namespace };
    const engines: EngineProcess[] = [];
    for (let i = 0; i < options.engines; i++) {
      engines.push(await processes.engine(`engine-${i + 1}`, { ...onKafka, dev }));
    }
    const ledger = new Ledger(join(processes.directory, "ledger"));
    const workers = options.workers.map((by, i) => {
      const way = by === "kafka" ? { kafka: onKafka } : { baseUrl: engines.at(-1)?.url };
      return processes.worker(`worker-${i + 1}`, { ledger: ledger.path, timeout: `${timeoutMs}ms`, way });
    });
    const gateways = engines.map(({ url }) => new Eddy({ id: APP, baseUrl: url, logger: SILENT }));
    const senders = [...gateways, new Eddy({ id: APP, kafka: onKafka, logger: SILENT })];
    return new Company(options, namespace, engines, workers, processes, senders, ledger);
  }

  /** Sends the load while the troubles happen; resolves when all is acknowledged and all troubles are over. */
  async serve(load: Load, troubles: readonly Trouble[]): Promise<void> {
    const batches = Math.max(1, Math.round((load.lastsMs / 1_000) * BATCHES_A_SECOND));
    const everyMs = load.lastsMs / batches;
    const began = Date.now();
    const served: Promise<void>[] = [];
    let trouble = Promise.resolve();
    const waiting = [...troubles];
    for (let batch = 0; batch < batches; batch++) {
      const [from, to] = [batch, batch + 1].map((b) => Math.floor((b * load.runs) / batches)) as [number, number];
      if (to > from) served.push(this.shop.serve(carts(to - from, from)));
      while (waiting[0] !== undefined && waiting[0].at <= batch / batches) {
        const next = waiting.shift() as Trouble;
        trouble = trouble.then(() => this.#tell(next));
        // Judged at the end; until then it is nobody's unhandled rejection.
        trouble.catch(() => undefined);
      }
      await passed(began + (batch + 1) * everyMs - Date.now());
    }
    await Promise.all([...served, trouble]);
  }
  async #tell({ what, make }: Trouble): Promise<void> {
    const since = Date.now();
    await make(this);
    const { brokers } = this.options;
    const untilMs = Date.now();
    const times = await historyTimes({ brokers, namespace: this.namespace });
    const pauses = times.map((of) => longestPause(of, since, untilMs));
    this.pauses.set(what, pauses);
    const told = pauses.map((ms, partition) => `${partition}: ${(ms / 1_000).toFixed(1)} s`).join(", ");
    console.log(
      `${what}, ${((untilMs - since) / 1_000).toFixed(1)} s; longest without progress, by partition: ${told}`,
    );
  }

  /** @returns what is wrong, once all runs have ended; empty when all is well */
  async verdict(runs: number, patienceMs: number): Promise<readonly string[]> {
    const all = carts(runs);
    await this.shop.ended(all, patienceMs);
    const timelines = await this.shop.timelines(patienceMs);
    const notices = await this.shop.notices(patienceMs);
    const { timeoutMs } = this.options;
    return judge({ carts: all, shop: this.shop, timelines, notices, ledger: this.ledger.read(), timeoutMs });
  }

  /** @param wentWell: what the processes printed is not needed any more */
  async close(wentWell: boolean): Promise<void> {
    await Promise.all(this.senders.map((sender) => sender.close()));
    await this.processes.close(wentWell);
  }
}

/** A part of the plan, not a wait for a condition: trouble takes time. */
export function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
