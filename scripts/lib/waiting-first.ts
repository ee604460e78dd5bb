/** Order of test files: those that mostly wait (for leases to end, for brokers to come back) begin first. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Parts of paths. Others run beside these, which take about a minute each and little of the processor. */
const WAITING = ["failover", "kill.e2e", "scale"];

export class WaitingFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const waits = ({ moduleId }: TestSpecification): boolean => WAITING.some((part) => moduleId.includes(part));
    return [...sorted.filter(waits), ...sorted.filter((file) => !waits(file))];
  }
}
