import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { LongFirst } from "./scripts/lib/long-first.js";

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Tests run on the sources: no build is needed, none can be stale. */
const alias = [
  { find: /^@eddy\/schemas$/, replacement: source("schemas/src/index.ts") },
  { find: /^@eddy\/clients$/, replacement: source("clients/src/index.ts") },
  { find: /^@eddy\/clients\/errors$/, replacement: source("clients/src/errors/codes.ts") },
  { find: /^@eddy\/clients\/kafka$/, replacement: source("clients/src/kafka/index.ts") },
  { find: /^@eddy\/engine$/, replacement: source("engine/src/index.ts") },
  { find: /^@eddy\/engine\/testing$/, replacement: source("engine/src/testing/index.ts") },
  { find: /^@eddy\/sdk\/inngest$/, replacement: source("sdk/src/inngest.ts") },
  { find: /^@eddy\/sdk\/testing$/, replacement: source("sdk/src/testing/index.ts") },
  { find: /^@eddy\/sdk$/, replacement: source("sdk/src/index.ts") },
];

/** What needs a broker has a config of its own, vitest.kafka.config.ts: `npm run test:kafka`. */
export const KAFKA_FILES = ["**/test/kafka/**/*.int.spec.ts", "**/*.kafka.e2e.spec.ts"];
/** Minutes of real processes, each with an npm script of its own: `test:failover`, `test:scale`. */
const DRILLS = "e2e/drills/**/*.drill.spec.ts";

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["**/*.spec.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", ...KAFKA_FILES, DRILLS],
    allowOnly: false,
    // Examples print what they do; it is of interest where a test fails.
    silent: "passed-only",
    sequence: { sequencer: LongFirst },
    // All cores; and what files import is loaded once in each process, which halves the time of small files. So a file
    // leaves nothing behind: fake timers, spies and environment variables are put back by whoever changed them.
    maxWorkers: "100%",
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
