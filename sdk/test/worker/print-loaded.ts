import { createRequire } from "node:module";
import { connect, type Eddy } from "@eddy/sdk";

const PAUSE_MS = 20;
const TRIES_MAX = 500;

/**
 * Connects a worker to where nobody answers, until it has said that, prints which modules of Kafka's client are loaded,
 * and ends the process.
 */
export async function printLoaded(make: (logger: Eddy["logger"]) => Eddy): Promise<never> {
  let hasSpoken = false;
  const say = (): void => void (hasSpoken = true);
  const eddy = make({ debug: say, info: say, warn: say, error: say });
  const fn = eddy.createFunction({ id: "f", triggers: [{ event: "e" }] }, () => null);
  const connecting = connect({ apps: [{ client: eddy, functions: [fn] }] });
  connecting.catch(say);
  const isSpoken = (): boolean => hasSpoken;
  for (let tries = 0; tries < TRIES_MAX && !isSpoken(); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  const loaded = Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes("/kafkajs/"));
  console.log(JSON.stringify(loaded.slice(0, 1)));
  process.exit(0);
}
