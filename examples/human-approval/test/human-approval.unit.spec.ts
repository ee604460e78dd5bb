import { testEngine, type TestEngine } from "@eddy/sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archived, published } from "../src/cms.js";
import { generateAndPublish } from "../src/generate-and-publish.js";
import { reviewRequests } from "../src/reviewer.js";

let t: TestEngine;
beforeEach(async () => {
  for (const done of [published, archived]) done.length = 0;
  reviewRequests.clear();
  t = await testEngine({ functions: [generateAndPublish] });
});
afterEach(() => t.close());

const requested = (contentId: string) => ({
  name: "content/generation.requested",
  data: { contentId, prompt: "rivers" },
});
const decided = (contentId: string, approved: boolean, feedback = "") => ({
  name: "content/review.completed",
  data: { contentId, approved, feedback },
});

describe("human approval", () => {
  it("publishes the draft that the reviewer has seen, when it is approved", async () => {
    const { runs } = await t.send(requested("post-1"));
    const draft = reviewRequests.get("post-1")?.draft;
    await t.send(decided("post-1", true));
    expect(await t.run(runs[0])).toMatchObject({ status: "Completed" });
    expect(published).toEqual([{ contentId: "post-1", text: draft }]);
    expect(archived).toEqual([]);
  });

  it("archives the draft with the reviewer's words when it is rejected", async () => {
    await t.send(requested("post-1"));
    await t.send(decided("post-1", false, "Too short."));
    expect(archived).toEqual([{ contentId: "post-1", reason: "Too short." }]);
    expect(published).toEqual([]);
  });

  it("does neither when nobody answers within 48 hours; a decision after that is too late", async () => {
    const { runs } = await t.send(requested("post-1"));
    await t.advance("47h");
    expect((await t.run(runs[0])).waits).toMatchObject([{ event: "content/review.completed" }]);
    await t.advance("1h");
    await t.send(decided("post-1", true));
    expect(await t.run(runs[0])).toMatchObject({ status: "Completed" });
    expect([...published, ...archived]).toEqual([]);
  });

  it("does not miss a reviewer who is faster than the wait", async () => {
    t.replaceStep("request-review", () => t.client.send(decided("post-1", true)));
    await t.send(requested("post-1"));
    expect(published).toHaveLength(1);
  });

  it("asks the model again when it fails, and keeps the draft over the model's later failures", async () => {
    t.failStep("generate-draft", new Error("overloaded"), { times: 1 });
    const { runs } = await t.send(requested("post-1"));
    await t.advance("1h");
    t.failStep("generate-draft", new Error("overloaded"));
    await t.send(decided("post-1", true));
    expect((await t.run(runs[0])).steps[0]).toMatchObject({ id: "generate-draft", attempts: 2 });
    expect(published).toHaveLength(1);
  });
});
