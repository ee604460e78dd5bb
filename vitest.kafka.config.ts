import base, { KAFKA_FILES } from "./vitest.config.js";
import { LongFirst } from "./scripts/lib/long-first.js";

/** The suites that need a broker (`npm run test:kafka`, and a step of `npm test`): all of them share one. */
export default {
  ...base,
  test: {
    ...base.test,
    include: [...KAFKA_FILES],
    exclude: ["**/node_modules/**", "**/dist/**"],
    globalSetup: ["scripts/kafka/vitest-setup.ts"],
    // On two cores: at most times one or two of these files wait.
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
};
