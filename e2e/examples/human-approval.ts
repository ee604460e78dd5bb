/** With the review page as the reviewer sees it. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archived, published } from "../../examples/human-approval/src/cms.js";
import { generateAndPublish } from "../../examples/human-approval/src/generate-and-publish.js";
import { createReviewServer } from "../../examples/human-approval/src/review-server.js";
import { reviewRequests } from "../../examples/human-approval/src/reviewer.js";
import { World, type WorldKind } from "../world.js";

const DRAFT = "There is much to say about rivers. We have said it here.";

const press = (url: string, decision: string, feedback = ""): Promise<Response> =>
  fetch(url, { method: "POST", body: new URLSearchParams({ decision, feedback }) });

export function humanApproval(kind: WorldKind): void {
  describe(`human approval, ${kind}`, () => {
    let world: World;
    let page: Server;
    beforeEach(async () => {
      for (const done of [published, archived]) done.length = 0;
      reviewRequests.clear();
      world = await World.start(kind);
      await world.work([generateAndPublish]);
      page = createReviewServer((event) => world.sendAll(event));
      await new Promise<void>((resolve) => page.listen(0, "127.0.0.1", resolve));
    });
    afterEach(async () => {
      page.closeAllConnections();
      await new Promise((resolve) => page.close(resolve));
      await world.close();
    });

    const request = (contentId: string): Promise<string> =>
      world.send("content/generation.requested", { contentId, prompt: "rivers" });
    const status = async (eventId: string) => (await world.runsOf(eventId))[0]?.status;
    /** Opens the link that the reviewer was sent, on the page of this test. */
    async function open(contentId: string): Promise<string> {
      await world.until(`a reviewer is asked about ${contentId}`, () => reviewRequests.has(contentId) || null);
      const { pathname } = new URL(reviewRequests.get(contentId)?.reviewUrl ?? "");
      return `http://127.0.0.1:${(page.address() as AddressInfo).port}${pathname}`;
    }

    it("publishes the draft when it is approved", async () => {
      const id = await request("post-1");
      const url = await open("post-1");
      expect(await (await fetch(url)).text()).toContain(DRAFT);
      await press(url, "approve");
      expect((await world.ended(id)).status).toBe("Completed");
      expect(published).toEqual([{ contentId: "post-1", text: DRAFT }]);
      expect(archived).toEqual([]);
    });

    it("archives the draft with the reviewer's words when it is rejected", async () => {
      const id = await request("post-1");
      await press(await open("post-1"), "reject", "Too short.");
      expect((await world.ended(id)).status).toBe("Completed");
      expect(archived).toEqual([{ contentId: "post-1", reason: "Too short." }]);
      expect(published).toEqual([]);
    });

    it("does neither when nobody answers within 48 hours; a decision after that is too late", async () => {
      const id = await request("post-1");
      const url = await open("post-1");
      await world.reached(id, "waitStarted");
      await world.advance("47h");
      expect(await status(id)).toBe("Running");
      await world.advance("1h");
      expect((await world.ended(id)).status).toBe("Completed");
      await press(url, "approve");
      // Logged after the late decision: when its run is done, the decision has been dealt with.
      const next = await request("post-2");
      await press(await open("post-2"), "approve");
      expect((await world.ended(next)).status).toBe("Completed");
      expect(published).toEqual([{ contentId: "post-2", text: DRAFT }]);
      expect(archived).toEqual([]);
    });

    it("keeps reviews apart by their content id", async () => {
      const [first, second] = [await request("post-1"), await request("post-2")];
      await open("post-1");
      await press(await open("post-2"), "approve");
      expect((await world.ended(second)).status).toBe("Completed");
      expect(await status(first)).toBe("Running");
      await press(await open("post-1"), "reject", "No.");
      expect((await world.ended(first)).status).toBe("Completed");
      expect(published.map(({ contentId }) => contentId)).toEqual(["post-2"]);
      expect(archived.map(({ contentId }) => contentId)).toEqual(["post-1"]);
    });
  });
}
