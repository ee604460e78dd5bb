import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { apiDocs, API_FOLDER, pagesIn, type ApiDocs } from "../docs/api.js";
import { blocksOf } from "../docs/markdown.js";
import { drift } from "../gen/drift.js";

const root = join(import.meta.dirname, "../..");

describe("the API documentation", () => {
  let docs: ApiDocs;
  beforeAll(async () => {
    docs = await apiDocs(root);
  }, 60_000);

  it("has a docstring for each public symbol, and no link that leads nowhere", () => {
    expect(docs.problems).toEqual([]);
  });

  it("is what the docstrings give: npm run docs:api", () => {
    expect(drift(docs.pages, pagesIn(join(root, API_FOLDER)))).toEqual([]);
  });

  it("shows in code how to do each of the main things", () => {
    // That the examples compile is checked with those of all documents.
    const examples = [...docs.pages.values()].flatMap((page) => blocksOf(page).map(({ code }) => code)).join("\n");
    const shown = [
      "createFunction(",
      "step.run(",
      "step.sleep(",
      "step.waitForEvent(",
      "Promise.race(",
      "Promise.all(",
    ];
    const more = ["step.sendEvent(", ".send(", "connect(", "eventType(", "NonRetriableError(", "RetryAfterError("];
    const testing = ["testEngine(", ".advance(", ".replaceStep(", ".failStep(", ".restoreStep(", ".waits"];
    expect([...shown, ...more, ...testing].filter((call) => !examples.includes(call))).toEqual([]);
  });
});
