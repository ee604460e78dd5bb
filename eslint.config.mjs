// One flat config for the whole repository. Layout, import arrows and size budgets are `npm run tidy`'s job.
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

const coreBan = "the core is pure: what it needs to know reaches it as an argument";

export default defineConfig(
  { ignores: ["**/node_modules/", "**/dist/", "**/.cache/", "**/coverage/", "**/.eddy/"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.ts", "**/*.mjs"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: ["./tsconfig.check.json"], tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-constant-binary-expression": "error",
      "no-control-regex": "off",
      "no-debugger": "error",
      "no-empty": ["error", { allowEmptyCatch: false }],
      "no-eval": "error",
      "no-implied-eval": "off",
      "no-self-compare": "error",
      "no-template-curly-in-string": "error",
      "no-unreachable-loop": "error",
      "no-useless-rename": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "off",
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "separate-type-imports" }],
      "@typescript-eslint/explicit-module-boundary-types": "off",
      "@typescript-eslint/no-deprecated": "error",
      // `any` is possible with a directive that says why: `eslint-disable-next-line ... -- why`; tidy wants the reason.
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": ["error", { checkThenables: true }],
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-mixed-enums": "error",
      "@typescript-eslint/no-unnecessary-boolean-literal-compare": "error",
      "@typescript-eslint/no-unnecessary-type-arguments": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/no-useless-constructor": "error",
      "@typescript-eslint/only-throw-error": "error",
      "@typescript-eslint/prefer-promise-reject-errors": "error",
      "@typescript-eslint/return-await": ["error", "error-handling-correctness-only"],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/use-unknown-in-catch-callback-variable": "error",
      // An `async` function without `await` is how a port's in-memory adapter keeps a promised signature.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
    },
  },
  {
    // P1: no I/O, clock, randomness or await in the core.
    files: ["engine/src/core/**/*.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        ...[
          "Date",
          "performance",
          "setTimeout",
          "setInterval",
          "setImmediate",
          "queueMicrotask",
          "process",
          "Buffer",
          "crypto",
          "console",
          "Intl",
          "globalThis",
          "structuredClone",
          "fetch",
        ].map((name) => ({ name, message: coreBan })),
      ],
      "no-restricted-properties": [
        "error",
        { object: "Math", property: "random", message: coreBan },
        { property: "localeCompare", message: "compares by locale; use < and >, which compare by UTF-16 code units" },
        { property: "toLocaleString", message: "depends on the machine's locale" },
      ],
      "no-restricted-imports": [
        "error",
        { patterns: [{ group: ["node:*", "fs", "path", "crypto"], message: coreBan }] },
      ],
      "no-restricted-syntax": [
        "error",
        { selector: ":function[async=true]", message: "the core is synchronous" },
        { selector: "AwaitExpression", message: "the core is synchronous" },
        { selector: "NewExpression[callee.name='Promise']", message: "the core is synchronous" },
        { selector: "ForInStatement", message: "for-in walks inherited keys; use for-of over Object.keys" },
        { selector: "ImportExpression", message: "imports in the core are static, so that tidy sees them" },
      ],
    },
  },
  {
    // Configuration reaches the engine through config/ alone.
    files: ["engine/src/**/*.ts", "clients/src/**/*.ts"],
    ignores: ["engine/src/config/**", "engine/src/core/**"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector: "MemberExpression[object.name='process'][property.name='env']",
          message: "environment variables are read in config/ alone",
        },
      ],
    },
  },
  {
    files: ["schemas/src/**/*.ts", "clients/src/**/*.ts", "sdk/src/**/*.ts", "engine/src/**/*.ts"],
    ignores: ["engine/src/cli/**", "sdk/src/define/logger.ts"],
    rules: { "no-console": "error" },
  },
  {
    files: [
      ...["**/*.mjs", "examples/**/*.ts", "**/test/**/*.ts", "**/*.spec.ts"],
      ...["e2e/**/*.ts", "engine/sim/**/*.ts", "bench/**/*.ts"],
    ],
    rules: {
      // Parsed JSON and untyped events are `any`; tests, scripts and examples use them as they come.
      "no-template-curly-in-string": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      // Tests take methods of object literals, which have no `this`, as `vi.fn` and `expect` want them.
      "@typescript-eslint/unbound-method": "off",
      // Tests say which type they mean even where the receiver would take any.
      "@typescript-eslint/no-unnecessary-type-assertion": "off",
    },
  },
);
