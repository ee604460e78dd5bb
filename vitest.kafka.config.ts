import base from "./vitest.config.js";

/** `npm run test:kafka`: the suites that need a broker, one file after another: they share it, and two cores. */
export default {
  ...base,
  test: {
    ...base.test,
    include: ["clients/test/kafka/**/*.int.spec.ts"],
    exclude: ["**/node_modules/**"],
    globalSetup: ["scripts/kafka/vitest-setup.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
};
