/** A machine: a disk, and one process after the other on it. */
import type { EngineProcess } from "./actors/engine-process.js";
import type { Group } from "./actors/group.js";
import type { SimWorker } from "./actors/worker.js";
import { SimDisk } from "./ports/sim-store.js";
import type { SimProcess } from "./process.js";

export interface Machine {
  readonly name: string;
  readonly kind: "engine" | "worker";
  readonly number: number;
  /** Whose requests a worker takes; "" for engines. */
  readonly app: string;
  readonly disk: SimDisk;
  readonly group: Group;
  incarnation: number;
  process: SimProcess | null;
  member: EngineProcess | SimWorker | null;
}

export function machineOf(kind: Machine["kind"], number: number, app: string, group: Group): Machine {
  const name = `${kind}${number}`;
  return { name, kind, number, app, group, disk: new SimDisk(), incarnation: 0, process: null, member: null };
}
