import base from "./vitest.config.js";

/** Minutes of real processes in trouble, with what they tell: `npm run test:failover`, `npm run test:scale`. */
export default {
  ...base,
  test: {
    ...base.test,
    include: ["e2e/drills/**/*.drill.spec.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    silent: false,
    fileParallelism: false,
    hookTimeout: 180_000,
  },
};
