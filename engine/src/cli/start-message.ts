/** What `eddy dev` says when it is ready: where it is, and what to try. */
import { relative } from "node:path";
import type { EngineConfig } from "../config/engine-config.js";

export function startMessage(url: string, config: EngineConfig): string {
  const { inMemory, dataDir, partitions, fsync } = config;
  const where = inMemory
    ? "in memory: nothing survives this process"
    : `in ${relative(process.cwd(), dataDir) || "."}, ${fsync ? "synced to disk" : "survives kill -9"}`;
  const post = `curl -X POST -H 'content-type: application/json'`;
  return `
  Eddy is ready at ${url}
  ${partitions} partitions, ${where}

  Send an event         ${post} ${url}/e/dev -d '{"name":"hello","data":{"n":1}}'
  Skip 24 hours         ${post} ${url}/dev/clock/advance -d '{"by":"24h"}'
  Is it all running?    curl ${url}/health/ready
  Connect a worker      connect({ apps: [{ client, functions }], baseUrl: "${url}" })

  Stop with Ctrl-C.
`;
}
