/** A worker and the review page. REVIEW_URL says where the page is, EDDY_BASE_URL where the engine is. */
import { connect } from "@eddy/sdk";
import { eddy } from "./client.js";
import { generateAndPublish } from "./generate-and-publish.js";
import { createReviewServer } from "./review-server.js";
import { baseUrl } from "./reviewer.js";

const { hostname, port } = new URL(baseUrl);
const server = createReviewServer((event) => eddy.send(event));
await new Promise<void>((resolve, reject) => {
  server.once("error", reject);
  server.listen(Number(port), hostname, resolve);
});
// The worker finishes what it has on SIGTERM and Ctrl-C; the page has nothing to finish.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => server.close());

await connect({ apps: [{ client: eddy, functions: [generateAndPublish] }] });
console.log(`ready: ${generateAndPublish.id} is registered at ${eddy.baseUrl}, reviews are at ${baseUrl}`);
