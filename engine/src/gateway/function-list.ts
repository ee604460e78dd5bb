/** All registered functions, as the registry has them, and how many workers are connected for them. */
import { functionIdOf, type FunctionConfig, type FunctionView, type RegisteredApp } from "@eddy/schemas";
import type { Logger, RegistryView } from "@eddy/clients";
import type { ConnectedWorkers, Peers } from "./peers.js";
import type { Owners } from "./routed-lookup.js";

export interface FunctionListDeps {
  readonly registry: Pick<RegistryView, "apps" | "laggingAt" | "whenFresh">;
  readonly owners: Owners;
  readonly peers: Pick<Peers, "workers">;
  /** Connected to this engine. */
  readonly workersHere: () => ConnectedWorkers;
  readonly logger: Logger;
}

export class FunctionList {
  readonly #deps: FunctionListDeps;

  constructor(deps: FunctionListDeps) {
    this.#deps = deps;
  }

  /** Connected to this engine. */
  workersHere(): ConnectedWorkers {
    return this.#deps.workersHere();
  }

  /** By app and id. @throws TransientError where the registry was not read for too long. */
  async all(): Promise<readonly FunctionView[]> {
    const { registry } = this.#deps;
    await registry.whenFresh();
    const workers = await this.#workersEverywhere();
    return registry.apps.flatMap((app) => {
      const isInForce = registry.laggingAt(app.version).length === 0;
      const count = workers === null ? null : (workers.get(app.app) ?? 0);
      return [...app.functions].sort(byId).map((fn) => viewOf(fn, app, isInForce, count));
    });
  }

  /** By app; null where an engine could not be asked: functions are shown all the same. */
  async #workersEverywhere(): Promise<ReadonlyMap<string, number> | null> {
    const { owners, peers, logger } = this.#deps;
    const numbers = Array.from({ length: owners.partitions }, (_, partition) => partition);
    const others = new Set(numbers.filter((p) => !owners.isOurs(p)).map((p) => owners.ownerOf(p)));
    const addresses = [...others].filter((address) => address !== null);
    if (addresses.length < others.size) return null;
    try {
      const elsewhere = await Promise.all(addresses.map((address) => peers.workers(address)));
      const byApp = new Map<string, number>();
      for (const { app, workers } of [...this.workersHere(), ...elsewhere.flat()]) {
        byApp.set(app, (byApp.get(app) ?? 0) + workers);
      }
      return byApp;
    } catch (err) {
      logger.debug({ err }, "not all engines tell how many workers they have");
      return null;
    }
  }
}

function byId({ id: a }: FunctionConfig, { id: b }: FunctionConfig): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function viewOf(
  fn: FunctionConfig,
  { app, version, learned }: RegisteredApp,
  isInForce: boolean,
  workers: number | null,
): FunctionView {
  return {
    id: functionIdOf(app, fn.id),
    app,
    name: fn.name,
    triggers: fn.triggers,
    cancel_on: fn.cancelOn,
    waits: fn.waits,
    learned_waits: learned.flatMap(({ functionId, event, path }) => (functionId === fn.id ? [{ event, path }] : [])),
    retries: fn.retries,
    version,
    in_force: isInForce,
    workers,
  };
}
