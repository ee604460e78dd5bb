/** Global setup of the suites on Kafka: one broker for the whole run, its address by `inject("kafkaBrokers")`. */
import { writeFileSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { startKafka, type KafkaCluster } from "./cluster.js";
import { missingRegistry, startRegistry, type Registry } from "./registry.js";

declare module "vitest" {
  interface ProvidedContext {
    /** host:port of each broker. */
    kafkaBrokers: readonly string[];
    /** Of a schema registry with Confluent's API. It may still be starting: `registryReady`. */
    schemaRegistry: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const since = Date.now();
  const [cluster, registry] = await start();
  console.log(`${cluster.origin}, ready after ${((Date.now() - since) / 1000).toFixed(1)} s`);
  project.provide("kafkaBrokers", [...cluster.brokers]);
  project.provide("schemaRegistry", registry.url);
  return async () => {
    await Promise.all([cluster.stop(), registry.stop()]);
  };
}

/** @throws Error that says what was tried; `npm test` shows it at its end, too. */
async function start(): Promise<[KafkaCluster, Registry]> {
  const print = (line: string): void => console.log(line);
  const [cluster, registry] = await Promise.allSettled([startKafka({ nodes: 1, print }), startRegistry(print)]);
  if (cluster.status === "fulfilled") {
    if (registry.status === "fulfilled") return [cluster.value, registry.value];
    // Those tests fail that need it, and say this; the others go on.
    return [cluster.value, missingRegistry(registry.reason)];
  }
  if (registry.status === "fulfilled") await registry.value.stop();
  const error: unknown = cluster.reason;
  const notes = process.env["EDDY_TEST_NOTES"];
  if (notes !== undefined) writeFileSync(notes, error instanceof Error ? error.message : String(error));
  throw error;
}
