/** What `eddy dev` and `eddy start` say when the engine is ready: where it is, and what to try. */
import { relative } from "node:path";
import type { EngineConfig } from "../config/engine-config.js";
import type { KafkaEngineConfig } from "../config/kafka-config.js";

const POST = `curl -X POST -H 'content-type: application/json'`;

export function devMessage(url: string, config: EngineConfig): string {
  const { inMemory, dataDir, partitions, fsync } = config;
  const where = inMemory
    ? "in memory: nothing survives this process"
    : `in ${relative(process.cwd(), dataDir) || "."}, ${fsync ? "synced to disk" : "survives kill -9"}`;
  return `
  Eddy is ready at ${url}
  ${partitions} partitions, ${where}

  Send an event         ${POST} ${url}/e/dev -d '{"name":"hello","data":{"n":1}}'
  Skip 24 hours         ${POST} ${url}/dev/clock/advance -d '{"by":"24h"}'
  Is it all running?    curl ${url}/health/ready
  Connect a worker      connect({ apps: [{ client, functions }], baseUrl: "${url}" })

  Stop with Ctrl-C.
`;
}

export function kafkaMessage(url: string, config: KafkaEngineConfig): string {
  const { brokers, namespace, partitions, dev, ssl, sasl } = config;
  const kafka = { brokers, ...(namespace === "default" ? {} : { namespace }) };
  const security = [...(ssl === undefined ? [] : ["ssl"]), ...(sasl === undefined ? [] : ["sasl"])];
  const more = security.length === 0 ? "" : `, with ${security.join(" and ")}`;
  const skip = `\n  Skip 24 hours         ${POST} ${url}/dev/clock/advance -d '{"by":"24h"}'`;
  return `
  Eddy is ready at ${url}
  on Kafka at ${brokers.join(", ")}${more}
  namespace ${namespace}${dev ? " (dev)" : ""}, ${partitions} partitions, shared by all engines of the namespace

  Send an event         ${POST} ${url}/e/dev -d '{"name":"hello","data":{"n":1}}'${dev ? skip : ""}
  Is it all running?    curl ${url}/health/ready
  Connect a worker      connect({ apps: [{ client, functions }], kafka: ${JSON.stringify(kafka)} })
                        connect({ apps: [{ client, functions }], baseUrl: "${url}" })

  Stop with Ctrl-C.
`;
}
