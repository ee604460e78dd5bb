/** Order of test files: those that mostly wait (for leases to end, for brokers to come back) begin first. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Parts of paths, in the order in which they begin. Each takes about a minute and little of the processor; others run
 * beside them. Those with three brokers of their own are kept apart by one that needs none.
 */
const WAITING = ["e2e/kill.", "e2e/failover.", "kafka/failover.", "kafka/group-failover."];

export class WaitingFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = WAITING.findIndex((part) => moduleId.includes(part));
      return found === -1 ? WAITING.length : found;
    };
    // Sorting keeps the order of equals: vitest's own.
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
