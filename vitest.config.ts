import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Tests run on the sources: no build is needed, none can be stale. */
const alias = [
  { find: /^@eddy\/schemas$/, replacement: source("schemas/src/index.ts") },
  { find: /^@eddy\/clients$/, replacement: source("clients/src/index.ts") },
  { find: /^@eddy\/clients\/errors$/, replacement: source("clients/src/errors/codes.ts") },
  { find: /^@eddy\/clients\/kafka$/, replacement: source("clients/src/kafka/index.ts") },
  { find: /^@eddy\/engine$/, replacement: source("engine/src/index.ts") },
  { find: /^@eddy\/sdk\/inngest$/, replacement: source("sdk/src/inngest.ts") },
  { find: /^@eddy\/sdk\/testing$/, replacement: source("sdk/src/testing/index.ts") },
  { find: /^@eddy\/sdk$/, replacement: source("sdk/src/index.ts") },
];

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["**/*.spec.ts"],
    // What needs a broker has a config of its own: `npm run test:kafka`.
    exclude: ["**/node_modules/**", "**/dist/**", "clients/test/kafka/**/*.int.spec.ts"],
    allowOnly: false,
    // Examples print what they do; it is of interest where a test fails.
    silent: "passed-only",
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
