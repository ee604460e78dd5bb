/** One cart, 1,000 adds, two engine processes: each run is cancelled by the add that follows its own in the log. */
import { topicsOf } from "@eddy/clients";
import { decodeInbox, type RunSummary, type TimelineLine } from "@eddy/schemas";
import { connect, Eddy } from "@eddy/sdk";
import { expect, inject, it } from "vitest";
import { PARTITIONS, Processes } from "./drills/processes.js";
import { openLog, readAll } from "./drills/progress.js";
import { until } from "./until.js";
import { uniqueNamespace } from "./world.js";

const ADDS = 1_000;
const APP = "shop";
const END_MS_MAX = 60_000;

/** Ids of the events, each once, in the order of their partition's log. */
async function loggedIds(brokers: readonly string[], namespace: string): Promise<readonly string[]> {
  const log = await openLog(brokers);
  const ids = new Set<string>();
  try {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await readAll(log, { topic: topicsOf(namespace).inbox, partition, from: 0 }, ({ value }) => {
        const record = value === null ? null : decodeInbox(value);
        if (record?.kind === "event") ids.add(record.id);
      });
    }
  } finally {
    await log.close();
  }
  return [...ids];
}

async function ask<T>(url: string): Promise<T | null> {
  const response = await fetch(url);
  if (response.status === 503) return null;
  return ((await response.json()) as { data: T }).data;
}

it(`G3, G4: of ${ADDS} adds to one cart, all but the last are cancelled, in log order`, async () => {
  const [brokers, namespace] = [inject("kafkaBrokers"), uniqueNamespace()];
  const processes = await Processes.open("burst");
  const one = await processes.engine("engine-1", { brokers, namespace, dev: true });
  const two = await processes.engine("engine-2", { brokers, namespace, dev: true });
  const direct = new Eddy({ id: APP, kafka: { brokers, namespace } });
  const clients = [new Eddy({ id: APP, baseUrl: one.url }), new Eddy({ id: APP, baseUrl: two.url }), direct];
  let wentWell = false;
  const closers: (() => Promise<unknown>)[] = [() => direct.close()];
  try {
    await Promise.all([one.start(), two.start()]);
    const cart = direct.createFunction(
      {
        id: "cart",
        triggers: [{ event: "added" }],
        cancelOn: { event: "added", match: "data.cart", timeout: "24h" },
      },
      async ({ step }) => {
        await step.waitForEvent("bought", { event: "bought", match: "data.cart", timeout: "24h" });
      },
    );
    for (const client of clients.slice(1)) {
      const worker = await connect({ apps: [{ client, functions: [cart] }], handleShutdownSignals: false });
      closers.unshift(() => worker.close());
    }
    const adds = Array.from({ length: ADDS }, (_, i) => (clients[i % clients.length] as Eddy).send(addTo("c")));
    const sent = (await Promise.all(adds)).flatMap(({ ids }) => ids);
    const logged = await loggedIds(brokers, namespace);
    expect([...logged].sort()).toEqual([...sent].sort());
    const runs = await until(
      "all but one are cancelled",
      async () => {
        // In log order, the last but one is cancelled last or nearly so: the others are looked up once that is.
        const late = await ask<RunSummary[]>(`${one.url}/v1/events/${logged.at(-2)}/runs`);
        if (late?.[0]?.status !== "Cancelled") return null;
        const replies = await Promise.all(logged.map((id, i) => ask<RunSummary[]>(`${urlOf(i)}/v1/events/${id}/runs`)));
        const found = replies.flatMap((reply) => reply ?? []);
        return found.filter(({ status }) => status === "Cancelled").length === ADDS - 1 ? found : null;
      },
      END_MS_MAX,
    );
    expect(runs.map(({ event_id, status }) => [event_id, status])).toEqual(
      logged.map((id, i) => [id, i === ADDS - 1 ? "Running" : "Cancelled"]),
    );
    const cancelledBy = await Promise.all(runs.slice(0, -1).map(({ run_id }, i) => cancellingEvent(urlOf(i), run_id)));
    expect(cancelledBy).toEqual(logged.slice(1));
    wentWell = true;
  } finally {
    for (const close of closers) await close();
    await processes.close(wentWell);
  }
  function urlOf(i: number): string {
    return i % 2 === 0 ? one.url : two.url;
  }
}, 120_000);

const addTo = (cart: string) => ({ name: "added", data: { cart } });

async function cancellingEvent(url: string, runId: string): Promise<unknown> {
  const lines = await ask<TimelineLine[]>(`${url}/v1/runs/${runId}/timeline`);
  return lines?.find(({ kind }) => kind === "runCancelled")?.["eventId"];
}
