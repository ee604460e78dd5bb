/** `GET /metrics` of an engine: gauges are taken when they are asked for. */
import type { AppFigures, GaugeBoard, Meter } from "@eddy/clients";
import type { MetricsPage } from "./metrics-routes.js";

/** Of the disk with the data directory, in bytes. */
export interface DiskFigures {
  readonly size: number;
  readonly free: number;
  readonly stores: Readonly<Record<string, number>>;
}

export interface FiguresPageDeps {
  readonly meter: Meter;
  readonly isReady: () => boolean;
  readonly apps: () => readonly AppFigures[];
  /** null: there is none, or it is not known yet. */
  readonly disk: () => DiskFigures | null;
  readonly tellMore: (board: GaugeBoard) => Promise<unknown>;
}

export function figuresPage(page: MetricsPage & GaugeBoard, deps: FiguresPageDeps): MetricsPage {
  const { meter, isReady, apps, disk, tellMore } = deps;
  return {
    contentType: page.contentType,
    text: async () => {
      meter.gauge("eddy_ready", isReady() ? 1 : 0);
      for (const { app, workers, inFlight, slots } of apps()) {
        meter.gauge("eddy_workers_connected", workers, { app });
        meter.gauge("eddy_steps_in_flight", inFlight, { app });
        meter.gauge("eddy_worker_slots", slots.all, { app });
        meter.gauge("eddy_worker_slots_free", slots.free, { app });
      }
      const usage = disk();
      if (usage !== null) {
        meter.gauge("eddy_disk_size_bytes", usage.size);
        meter.gauge("eddy_disk_free_bytes", usage.free);
        for (const [store, bytes] of Object.entries(usage.stores)) meter.gauge("eddy_store_bytes", bytes, { store });
      }
      await tellMore(page);
      return page.text();
    },
  };
}
