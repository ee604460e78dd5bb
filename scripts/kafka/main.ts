/**
 * `npm run kafka -- [--brokers 1|3]`: a Kafka to try things on, until Ctrl-C. Reads commands from the terminal:
 * kill|start|pause|resume <id of a broker>.
 */
import { createInterface } from "node:readline";
import { startKafka } from "./cluster.js";
import type { KafkaCluster } from "./cluster.js";

const COMMANDS = ["kill", "start", "pause", "resume"] as const;

function readNodes(args: readonly string[]): 1 | 3 {
  const [option, value, ...rest] = args;
  if (option === undefined) return 1;
  if (option === "--brokers" && rest.length === 0 && (value === "1" || value === "3")) return value === "1" ? 1 : 3;
  console.error("usage: npm run kafka -- [--brokers 1|3]");
  process.exit(2);
}

async function obey(cluster: KafkaCluster, line: string): Promise<void> {
  const [word, id] = line.trim().split(/\s+/);
  const command = COMMANDS.find((known) => known === word);
  const node = cluster.nodes.find((each) => String(each.id) === id);
  if (command === undefined || node === undefined) {
    console.log(`${COMMANDS.join("|")} ${cluster.nodes.map((each) => each.id).join("|")}`);
    return;
  }
  await node[command]();
  console.log(`${command} ${node.id}: done`);
}

const cluster = await startKafka({ nodes: readNodes(process.argv.slice(2)), print: (line) => console.log(line) });
console.log(`${cluster.origin}\nKAFKA_BROKERS=${cluster.brokers.join(",")}\nCtrl-C ends it and removes its data`);

const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  obey(cluster, line).catch((error: unknown) => console.error(error));
});
let stopping = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    input.close();
    cluster.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}
