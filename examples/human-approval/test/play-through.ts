/** The function in virtual time, on any engine, with the review page as the reviewer sees it. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Eddy, EddyFunction } from "@eddy/sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archived, published } from "../src/cms.js";
import { generateAndPublish } from "../src/generate-and-publish.js";
import { createReviewServer } from "../src/review-server.js";
import { reviewRequests } from "../src/reviewer.js";

const PATIENCE_MS = 20_000;
const DRAFT = "There is much to say about rivers. We have said it here.";

/** An engine with a worker on the example's functions, wherever it runs. */
export interface Stage {
  /** @returns the events' ids. */
  send(events: Sent | Sent[]): Promise<readonly string[]>;
  /** GET, or POST where there is a body. @returns the parsed answer. @throws Error for any but 2xx. */
  call<T>(path: string, body?: unknown): Promise<T>;
  close(): Promise<void>;
}
type Sent = Parameters<Eddy["send"]>[0] extends infer Payload ? Exclude<Payload, readonly unknown[]> : never;

let stage: Stage;
let page: Server;

interface Run {
  readonly run_id: string;
  readonly status: "Running" | "Completed" | "Failed" | "Cancelled";
}

const skip = (by: string): Promise<unknown> => stage.call("/dev/clock/advance", { by });

/** Asks again until the answer is yes, for a bounded time. */
async function until(what: string, isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`did not come true within ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const runOf = async (eventId: string): Promise<Run | undefined> =>
  (await stage.call<{ data: Run[] }>(`/v1/events/${eventId}/runs`)).data[0];
const completed = (eventId: string): Promise<void> =>
  until(`the run of ${eventId} is Completed`, async () => (await runOf(eventId))?.status === "Completed");
const waits = (eventId: string): Promise<void> =>
  until(`the run of ${eventId} waits`, async () => {
    const run = await runOf(eventId);
    if (run === undefined) return false;
    const { data } = await stage.call<{ data: { kind: string }[] }>(`/v1/runs/${run.run_id}/timeline`);
    return data.some(({ kind }) => kind === "waitStarted");
  });

async function request(contentId: string): Promise<string> {
  const ids = await stage.send({
    name: "content/generation.requested",
    data: { contentId, prompt: "rivers" },
  });
  return ids[0] ?? "";
}
/** Opens the link that the reviewer was sent, on the page of this test. */
async function open(contentId: string): Promise<string> {
  await until(`a reviewer is asked about ${contentId}`, () => reviewRequests.has(contentId));
  const { pathname } = new URL(reviewRequests.get(contentId)?.reviewUrl ?? "");
  return `http://127.0.0.1:${(page.address() as AddressInfo).port}${pathname}`;
}
const press = (url: string, decision: string, feedback = ""): Promise<Response> =>
  fetch(url, { method: "POST", body: new URLSearchParams({ decision, feedback }) });

export function playThrough(start: (functions: readonly EddyFunction[]) => Promise<Stage>): void {
  describe("human approval", () => {
    beforeEach(async () => {
      for (const done of [published, archived]) done.length = 0;
      reviewRequests.clear();
      stage = await start([generateAndPublish]);
      page = createReviewServer((event) => stage.send(event));
      await new Promise<void>((resolve) => page.listen(0, "127.0.0.1", resolve));
    });
    afterEach(async () => {
      page.closeAllConnections();
      await new Promise((resolve) => page.close(resolve));
      await stage.close();
    });

    it("publishes the draft when it is approved", async () => {
      const id = await request("post-1");
      const url = await open("post-1");
      expect(await (await fetch(url)).text()).toContain(DRAFT);
      await press(url, "approve");
      await completed(id);
      expect(published).toEqual([{ contentId: "post-1", text: DRAFT }]);
      expect(archived).toEqual([]);
    });

    it("archives the draft with the reviewer's words when it is rejected", async () => {
      const id = await request("post-1");
      await press(await open("post-1"), "reject", "Too short.");
      await completed(id);
      expect(archived).toEqual([{ contentId: "post-1", reason: "Too short." }]);
      expect(published).toEqual([]);
    });

    it("does neither when nobody answers within 48 hours; a decision after that is too late", async () => {
      const id = await request("post-1");
      const url = await open("post-1");
      await waits(id);
      await skip("47h");
      expect((await runOf(id))?.status).toBe("Running");
      await skip("1h");
      await completed(id);
      await press(url, "approve");
      // Logged after the late decision: when its run is done, the decision has been dealt with.
      const next = await request("post-2");
      await press(await open("post-2"), "approve");
      await completed(next);
      expect(published).toEqual([{ contentId: "post-2", text: DRAFT }]);
      expect(archived).toEqual([]);
    });

    it("keeps reviews apart by their content id", async () => {
      const [first, second] = [await request("post-1"), await request("post-2")];
      await open("post-1");
      await press(await open("post-2"), "approve");
      await completed(second);
      expect((await runOf(first))?.status).toBe("Running");
      await press(await open("post-1"), "reject", "No.");
      await completed(first);
      expect(published.map(({ contentId }) => contentId)).toEqual(["post-2"]);
      expect(archived.map(({ contentId }) => contentId)).toEqual(["post-1"]);
    });
  });
}
