/** Global setup of the suites on Kafka: one broker for the whole run, its address by `inject("kafkaBrokers")`. */
import type { TestProject } from "vitest/node";
import { startKafka } from "./cluster.js";

declare module "vitest" {
  interface ProvidedContext {
    /** host:port of each broker. */
    kafkaBrokers: readonly string[];
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const since = Date.now();
  const cluster = await startKafka({ nodes: 1, print: (line) => console.log(line) });
  console.log(`${cluster.origin}, ready after ${((Date.now() - since) / 1000).toFixed(1)} s`);
  project.provide("kafkaBrokers", [...cluster.brokers]);
  return () => cluster.stop();
}
