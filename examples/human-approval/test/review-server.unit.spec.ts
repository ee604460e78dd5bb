import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { html } from "../src/html.js";
import { createReviewServer, type ReviewCompleted } from "../src/review-server.js";
import { notifyReviewer, reviewRequests } from "../src/reviewer.js";

let sent: ReviewCompleted[] = [];
let failing = false;
const server = createReviewServer(async (event) => {
  if (failing) throw new Error("no engine");
  sent.push(event);
});
let url = "";

beforeEach(async () => {
  sent = [];
  failing = false;
  reviewRequests.clear();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const ask = (contentId: string, draft: string): Promise<void> =>
  notifyReviewer({ contentId, draft, reviewUrl: `${url}/review/${contentId}` });
const decide = (contentId: string, decision: string, feedback = ""): Promise<Response> =>
  fetch(`${url}/review/${encodeURIComponent(contentId)}`, {
    method: "POST",
    body: new URLSearchParams({ decision, feedback }),
  });
const text = async (path: string): Promise<string> => (await fetch(url + path)).text();

describe("the review page", () => {
  it("shows the draft, with an Approve and a Reject button and no script", async () => {
    await ask("post-1", "All about rivers.");
    const page = await text("/review/post-1");
    expect(page).toContain("All about rivers.");
    expect(page).toMatch(/<button[^>]*value="approve"[^>]*>Approve<\/button>/);
    expect(page).toMatch(/<button[^>]*value="reject"[^>]*>Reject<\/button>/);
    expect(page).not.toContain("<script");
  });

  it("lists what waits for review, and no longer what was decided", async () => {
    await ask("post-1", "a");
    await ask("post-2", "b");
    await decide("post-1", "approve");
    const page = await text("/");
    expect(page).toContain('href="/review/post-2"');
    expect(page).not.toContain("post-1");
  });

  it.each([
    ["approve", "", { approved: true, feedback: "" }],
    ["reject", "  Too short.  ", { approved: false, feedback: "Too short." }],
  ])("sends an event for %s", async (decision, feedback, expected) => {
    await ask("post-1", "a");
    const response = await decide("post-1", decision, feedback);
    expect(response.status).toBe(200);
    expect(sent).toEqual([{ name: "content/review.completed", data: { contentId: "post-1", ...expected } }]);
    expect(await text("/review/post-1")).toContain(
      decision === "approve" ? "Your approval of post-1" : "Your rejection of post-1",
    );
  });

  it("takes the first decision only, until there is a new request for the same content", async () => {
    await ask("post-1", "a");
    await decide("post-1", "reject");
    await decide("post-1", "approve");
    expect(sent).toHaveLength(1);
    await ask("post-1", "a second draft");
    expect(await text("/review/post-1")).toContain("a second draft");
    await decide("post-1", "approve");
    expect(sent).toHaveLength(2);
  });

  it("lets a reviewer decide after a restart, when the draft is gone", async () => {
    expect(await text("/review/post-1")).toContain("does not have the draft");
    await decide("post-1", "approve");
    expect(sent).toHaveLength(1);
  });

  it("stays open when the engine does not take the decision", async () => {
    await ask("post-1", "a");
    failing = true;
    expect((await decide("post-1", "approve")).status).toBe(502);
    failing = false;
    expect(await text("/review/post-1")).toContain("Approve");
    expect((await decide("post-1", "approve")).status).toBe(200);
  });

  it("escapes what people and models wrote", async () => {
    const evil = `<script>alert("x")</script>&'`;
    await ask(evil, evil);
    const path = `/review/${encodeURIComponent(evil)}`;
    const pages = [
      await text(path),
      await text("/"),
      await (await decide(evil, "reject", evil)).text(),
      await text(path),
    ];
    for (const page of pages) {
      expect(page).not.toContain("<script>");
      expect(page).toContain("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;");
    }
    expect(sent[0]?.data).toEqual({ contentId: evil, approved: false, feedback: evil });
  });

  it.each([
    ["an unknown page", "/nope", {}, 404],
    ["an address that is not valid", "/review/%E0%A4%A", {}, 400],
    ["another method", "/review/post-1", { method: "DELETE" }, 405],
    [
      "a form without a decision",
      "/review/post-1",
      { method: "POST", body: new URLSearchParams({ feedback: "x" }) },
      400,
    ],
    [
      "a decision that is none",
      "/review/post-1",
      { method: "POST", body: new URLSearchParams({ decision: "x" }) },
      400,
    ],
    ["a novel", "/review/post-1", { method: "POST", body: "x".repeat(20_000) }, 413],
  ])("refuses %s", async (_name, path, options, status) => {
    await ask("post-1", "a");
    expect((await fetch(url + path, options)).status).toBe(status);
    expect(sent).toEqual([]);
  });
});

describe("html", () => {
  it("escapes text and keeps HTML", () => {
    const inner = html`<b>${"<"}</b>`;
    expect(html`<p title="${'"'}">${inner}${"&"}</p>`.text).toBe('<p title="&quot;"><b>&lt;</b>&amp;</p>');
  });
});
