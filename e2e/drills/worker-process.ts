/** A worker as a process of its own, until it is ended or its starter is gone. Says "ready" when it works. */
import { connect, Eddy, type ConnectOptions } from "@eddy/sdk";
import { APP, shopFunctions } from "./flow.js";
import { Ledger } from "./ledger.js";

export interface WorkerPlan {
  readonly ledger: string;
  /** Of the wait. */
  readonly timeout: string;
  /** How it finds its engines. */
  readonly way: Pick<ConnectOptions, "baseUrl" | "kafka">;
}

const STEP_MS = 100;
const { ledger, timeout, way } = JSON.parse(process.argv[2] ?? "") as WorkerPlan;
// The other end of the pipe is the drill.
process.stdin.resume().on("end", () => process.exit(1));

const client = new Eddy({ id: APP, ...way });
const functions = shopFunctions(client, new Ledger(ledger), timeout, STEP_MS);
const worker = await connect({ apps: [{ client, functions }], ...way, slots: 200 });
console.log("ready");
await worker.closed;
process.exit(0);
