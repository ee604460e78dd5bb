/**
 * The registry as senders see it: what it held at any moment of virtual time, so that a sender may know it as it was a
 * while ago.
 */
import { Routes, type RegisteredApp, type RegistryEntry } from "@eddy/schemas";

export interface View {
  /** Virtual time from which on it holds. */
  readonly fromMs: number;
  readonly apps: readonly RegisteredApp[];
  readonly routes: Routes;
  /** Every registration up to this one was in force on every partition. */
  readonly version: number;
}

export class RegistryViews {
  readonly #partitions: number;
  readonly #apps = new Map<string, RegisteredApp>();
  readonly #applied = new Map<number, number>();
  readonly #views: View[] = [{ fromMs: 0, apps: [], routes: new Routes([]), version: 0 }];

  constructor(partitions: number) {
    this.#partitions = partitions;
  }

  take(entry: RegistryEntry, nowMs: number): void {
    if (entry.kind === "namespace") return;
    if (entry.kind === "applied") {
      this.#applied.set(entry.partition, Math.max(entry.version, this.#applied.get(entry.partition) ?? 0));
      if (this.#inForce > this.latest.version)
        this.#views.push({ ...this.latest, fromMs: nowMs, version: this.#inForce });
      return;
    }
    const known = this.#apps.get(entry.config.app);
    if (known !== undefined && known.version >= entry.config.version) return;
    this.#apps.set(entry.config.app, entry.config);
    const apps = [...this.#apps.values()];
    this.#views.push({ ...this.latest, fromMs: nowMs, apps, routes: new Routes(apps) });
  }

  get latest(): View {
    return this.#views.at(-1) as View;
  }

  /** As the registry was then. */
  at(ms: number): View {
    return this.#views.findLast(({ fromMs }) => fromMs <= ms) ?? this.latest;
  }

  get #inForce(): number {
    const applied = Array.from({ length: this.#partitions }, (_, p) => this.#applied.get(p) ?? 0);
    return Math.min(...applied);
  }
}
