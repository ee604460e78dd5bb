// As in issue 3, but for imports and line breaks.
import { eddy } from "./client.js";
import { baseUrl, cms, llm, notifyReviewer } from "./world.js";
export const generateAndPublish = eddy.createFunction(
  { id: "generate-and-publish", triggers: [{ event: "content/generation.requested" }] },
  async ({ event, step }) => {
    const draft = await step.run("generate-draft", async () =>
      llm.generate({ prompt: event.data.prompt, model: "any-model" }),
    );
    await step.run("request-review", async () =>
      notifyReviewer({
        contentId: event.data.contentId,
        draft: draft.text,
        reviewUrl: `${baseUrl}/review/${event.data.contentId}`,
      }),
    );
    const review = await step.waitForEvent("wait-for-review", {
      event: "content/review.completed",
      timeout: "48h",
      match: "data.contentId",
    });
    if (review === null) return;
    if (review.data.approved) await step.run("publish", async () => cms.publish(event.data.contentId, draft.text));
    else
      await step.run("archive-rejected", async () =>
        cms.archive(event.data.contentId, { reason: review.data.feedback }),
      );
  },
);
