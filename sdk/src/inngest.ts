/** The same API under the name that code written for Inngest imports: `import { Inngest } from "@eddy/sdk/inngest"`. */
export * from "./index.js";
export { Eddy as Inngest } from "./define/client.js";
