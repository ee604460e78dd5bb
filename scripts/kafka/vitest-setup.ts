/** Global setup of the suites on Kafka: one broker for the whole run, its address by `inject("kafkaBrokers")`. */
import { writeFileSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { startKafka, type KafkaCluster } from "./cluster.js";

declare module "vitest" {
  interface ProvidedContext {
    /** host:port of each broker. */
    kafkaBrokers: readonly string[];
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const since = Date.now();
  const cluster = await start();
  console.log(`${cluster.origin}, ready after ${((Date.now() - since) / 1000).toFixed(1)} s`);
  project.provide("kafkaBrokers", [...cluster.brokers]);
  return () => cluster.stop();
}

/** @throws Error that says what was tried; `npm test` shows it at its end, too. */
async function start(): Promise<KafkaCluster> {
  try {
    return await startKafka({ nodes: 1, print: (line) => console.log(line) });
  } catch (error) {
    const notes = process.env["EDDY_TEST_NOTES"];
    if (notes !== undefined) writeFileSync(notes, error instanceof Error ? error.message : String(error));
    throw error;
  }
}
