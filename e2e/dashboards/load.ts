/**
 * Light load that shows all that dashboards show: the example app, and functions that retry, fail, throw, sleep, look
 * back and are cancelled.
 */
import type { Engine } from "@eddy/engine";
import { connect, Eddy, NonRetriableError, RetryAfterError } from "@eddy/sdk";
import cartAbandonment from "../../examples/cart-abandonment/src/cart-abandonment.js";
import { eddy as exampleShop } from "../../examples/cart-abandonment/src/client.js";
import { pause } from "./pause.js";

const EVERY_MS = 100;
const nothing = (): void => undefined;
/** Steps fail here on purpose. */
const SILENT = { debug: nothing, info: nothing, warn: nothing, error: nothing };

export interface Load {
  stop(): Promise<void>;
}

function functionsOf(client: Eddy) {
  const steps = client.createFunction(
    { id: "steps", triggers: [{ event: "order/placed" }] },
    async ({ event, step, attempt }) => {
      await step.run("reserve", () => "reserved");
      let tries = 0;
      await step.run("charge", () => {
        tries += 1;
        if (event.data["retry"] === true && tries === 1 && attempt === 0) throw new RetryAfterError("busy", "1s");
        return "charged";
      });
      await step.sleep("rest", "1s");
      if (event.data["fail"] === true) {
        await step.run("pack", () => {
          throw new NonRetriableError("out of boxes");
        });
      }
      if (event.data["throw"] === true) throw new NonRetriableError("out of luck");
    },
  );
  const waits = client.createFunction(
    { id: "waits", triggers: [{ event: "order/placed" }], waits: [{ event: "order/paid", match: "data.order" }] },
    async ({ event, step }) => {
      // What comes while this step runs was there before the wait.
      await step.run("ask", () => client.send({ name: "order/paid", data: { order: event.data["order"] } }));
      await step.waitForEvent("paid", { event: "order/paid", match: "data.order", timeout: "1h" });
      await step.waitForEvent("shipped", { event: "order/shipped", match: "data.order", timeout: "2s" });
    },
  );
  return [steps, waits];
}

/** Sends until it is stopped. */
export async function startLoad({ url: baseUrl }: Engine): Promise<Load> {
  const client = new Eddy({ id: "orders", baseUrl, logger: SILENT });
  const worker = await connect({
    apps: [
      { client, functions: functionsOf(client) },
      { client: exampleShop, functions: [cartAbandonment] },
    ],
    baseUrl,
    handleShutdownSignals: false,
  });
  let isOver = false;
  const sending = (async () => {
    for (let n = 0; !isOver; n += 1) {
      const cart_id = `c${n % 20}`;
      await client.send([
        { name: "order/placed", data: { order: n, retry: n % 5 === 1, fail: n % 7 === 2, throw: n % 7 === 3 } },
        { name: "cart/product.added", data: { cart_id }, user: { email: "a@example.com" } },
      ]);
      if (n % 3 === 0) await client.send({ name: "order/shipped", data: { order: n - 5 } });
      if (n % 4 === 0) await client.send({ name: "cart/purchased", data: { cart_id } });
      if (n % 20 === 0) await cancelOne(baseUrl);
      await pause(EVERY_MS);
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await sending;
      await worker.close();
    },
  };
}

async function cancelOne(baseUrl: string): Promise<void> {
  const reply = await fetch(`${baseUrl}/v1/runs?status=Running&limit=1`);
  if (!reply.ok) return; // Its history is behind for a moment.
  const { data } = (await reply.json()) as { data: { runId: string }[] };
  const [run] = data;
  if (run !== undefined) await fetch(`${baseUrl}/v1/runs/${run.runId}`, { method: "DELETE" });
}
