/** Plays the function through on the embedded engine, in virtual time. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEngineConfig, startEngine } from "@eddy/engine";
import { connect, Eddy } from "@eddy/sdk";
import { playThrough, type Stage } from "./play-through.js";

playThrough(async (functions): Promise<Stage> => {
  const dataDir = await mkdtemp(join(tmpdir(), "eddy-newsroom-"));
  const engine = await startEngine(readEngineConfig({ port: 0, dataDir, logLevel: "silent" }, {}));
  const client = new Eddy({ id: "newsroom", baseUrl: engine.url });
  const apps = [{ client, functions }];
  const worker = await connect({ apps, baseUrl: engine.url, handleShutdownSignals: false });
  return {
    send: async (events) => (await client.send(events)).ids,
    call: async <T>(path: string, body?: unknown): Promise<T> => {
      const json = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      const response = await fetch(engine.url + path, body === undefined ? {} : json);
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    },
    close: async () => {
      await worker.close();
      await engine.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
});
