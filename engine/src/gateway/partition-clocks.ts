/** How far every partition of the namespace is, from here and from the other engines. */
import type { PartitionReading, Peers } from "./peers.js";
import { splitByOwner, type Owners } from "./routed-lookup.js";

export interface PartitionClocks {
  /** Partitions of the namespace. */
  readonly partitions: number;
  /** Of those that are ours, at this moment. */
  here(): readonly PartitionReading[];
  /** Of all, in order. @throws TransientError where an owner is not known or does not answer */
  everywhere(): Promise<readonly PartitionReading[]>;
}

export interface PartitionClocksDeps {
  readonly owners: Owners & { readings(): readonly PartitionReading[] };
  readonly peers: Peers;
}

export function partitionClocks({ owners, peers }: PartitionClocksDeps): PartitionClocks {
  const { partitions } = owners;
  return {
    partitions,
    here: () => owners.readings(),
    async everywhere() {
      const { others } = splitByOwner(owners);
      const asked = await Promise.all(
        [...others].map(async ([address, theirs]) => {
          // What it believes to have beyond that, it has lost.
          return (await peers.readings(address)).filter(({ partition }) => theirs.includes(partition));
        }),
      );
      const known = new Map([...asked.flat(), ...owners.readings()].map((reading) => [reading.partition, reading]));
      return Array.from({ length: partitions }, (_, partition) => known.get(partition) ?? notYet(partition));
    },
  };
}

/** Its owner does not know yet that it is. */
function notYet(partition: number): PartitionReading {
  return { partition, status: "starting", advanceMs: 0, processedOffset: -1 };
}
