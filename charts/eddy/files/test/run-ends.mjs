// `helm test`: a worker of its own and an event; ends with 0 when the run of that event has ended as it should.
import { randomUUID } from "node:crypto";
import { connect, Eddy } from "@eddy/sdk";

const PAUSE_MS = 250;
const { EDDY_BASE_URL: baseUrl, EDDY_TEST_APP: app = "helm-test", EDDY_TEST_TIMEOUT_SECONDS: seconds } = process.env;
const endAtMs = Date.now() + Number(seconds ?? 180) * 1_000;
const nonce = randomUUID();
// The SDK takes it from there, too.
const { EDDY_TOKEN: token } = process.env;
/** @type {Record<string, string>} */
const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };

const eddy = new Eddy({ id: app, baseUrl });
const echo = eddy.createFunction({ id: "echo", triggers: [{ event: `${app}/asked` }] }, async ({ event, step }) => {
  const first = await step.run("first", () => event.data.nonce);
  await step.sleep("a-moment", "1s");
  return step.run("second", () => first);
});

console.log(`connecting a worker to ${baseUrl}`);
const worker = await connect({ apps: [{ client: eddy, functions: [echo] }] });
const { ids } = await eddy.send({ name: `${app}/asked`, data: { nonce } });
console.log(`sent the event ${ids[0]}`);

/** @returns {Promise<{ run_id: string, status: string, output?: unknown } | undefined>} */
async function runOfEvent() {
  const reply = await fetch(`${baseUrl}/v1/events/${ids[0]}/runs`, { headers }).catch(() => null);
  if (reply === null || !reply.ok) return undefined; // Partitions may be moving.
  const body = /** @type {{ data: { run_id: string, status: string, output?: unknown }[] }} */ (await reply.json());
  return body.data[0];
}

let run = await runOfEvent();
while ((run === undefined || run.status === "Running") && Date.now() < endAtMs) {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  run = await runOfEvent();
}
await worker.close();
const isWell = run?.status === "Completed" && run.output === nonce;
console.log(isWell ? `its run ${run?.run_id} is Completed` : `expected a Completed run, got ${JSON.stringify(run)}`);
process.exit(isWell ? 0 : 1);
