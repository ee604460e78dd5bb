/** Order of test files: the long ones begin first, so that no core is left alone with one at the end. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Parts of paths, in the order in which they begin. Each takes a minute. But for the simulator they mostly wait, for
 * leases to end and for brokers to come back; others run beside them. Those with three brokers of their own are kept
 * apart by one that needs none.
 */
const LONG = ["engine/sim/simulation.", "e2e/kill.", "e2e/failover.", "kafka/failover.", "kafka/group-failover."];

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONG.findIndex((part) => moduleId.includes(part));
      return found === -1 ? LONG.length : found;
    };
    // Sorting keeps the order of equals: vitest's own.
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
