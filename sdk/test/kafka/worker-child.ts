/**
 * A worker as users run it, in a process of its own: `tsx worker-child.ts <brokers> <namespace> <name>`. Says what it
 * does on stdout, one JSON array per line: ["ready"], ["step", run] and ["end", run, text] inside of
 * steps, ["over", run] once the log has the last one, ["closed"].
 */
import { connect, Eddy } from "@eddy/sdk";

const [brokers = "", namespace = "", name = ""] = process.argv.slice(2);
const say = (...words: readonly string[]): void => void process.stdout.write(`${JSON.stringify(words)}\n`);

const eddy = new Eddy({ id: "shop", kafka: { brokers, namespace } });
const work = eddy.createFunction({ id: "work", triggers: [{ event: "work" }] }, async ({ event, runId, step }) => {
  const ms = event.data.ms as number;
  await step.run("work", () => {
    say("step", runId);
    return new Promise<void>((resolve) => setTimeout(resolve, ms));
  });
  // The step's own connections must end with the worker, or this process would not.
  await step.sendEvent("worked", { name: "worked", data: { key: event.data.key as string } });
  const reply = await step.waitForEvent("reply", { event: "reply", timeout: "1h", match: "data.key" });
  await step.run("end", () => say("end", runId, (reply as { data: { text: string } }).data.text));
  say("over", runId);
});

const connection = await connect({ apps: [{ client: eddy, functions: [work] }], slots: 20, instanceId: name });
say("ready");
await connection.closed;
say("closed");
