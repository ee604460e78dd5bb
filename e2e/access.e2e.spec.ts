/** An engine that asks for tokens, over TLS: the command, the SDK, a worker that is bound to its app. Needs the build. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readEngineConfig, startEngine, type Engine } from "@eddy/engine";
import { connect, Eddy } from "@eddy/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";

const CLI = fileURLToPath(new URL("../engine/dist/cli/eddy.js", import.meta.url));
const CERTIFICATE = fileURLToPath(new URL("../engine/test/gateway/certificates/first", import.meta.url));
const TRUST = { NODE_EXTRA_CA_CERTS: `${CERTIFICATE}.cert.pem` };

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
function eddy(args: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
  const env = { PATH: process.env["PATH"], ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

let folder: string;
let plain: Engine;
let secure: Engine;
const tokens: Record<string, string> = {};
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "eddy-access-"));
  const lines: string[] = [];
  const create = async (name: string, ...options: string[]): Promise<void> => {
    const { out } = await eddy(["token", "create", "--name", name, ...options]);
    const [token, line] = out.trim().split("\n");
    tokens[name] = token as string;
    lines.push(line as string);
  };
  await create("shop", "--scope", "work", "--app", "shop");
  await create("sender", "--scope", "send");
  await create("reader", "--scope", "read");
  const tokensFile = join(folder, "tokens.yaml");
  writeFileSync(tokensFile, `${lines.join("\n")}\n`);
  const common = { port: 0, inMemory: true, logLevel: "silent", tokensFile };
  plain = await startEngine(readEngineConfig(common, {}));
  const tls = { cert: `${CERTIFICATE}.cert.pem`, key: `${CERTIFICATE}.key.pem` };
  secure = await startEngine(readEngineConfig({ ...common, tls }, {}));
});
afterAll(async () => {
  await Promise.all([plain.close(), secure.close()]);
  rmSync(folder, { recursive: true });
});

it("takes workers and events of the SDK by their tokens, and a run ends", async () => {
  const client = new Eddy({ id: "shop", baseUrl: plain.url, token: tokens["shop"], eventKey: tokens["sender"] });
  let ended: (said: unknown) => void = () => undefined;
  const whenEnded = new Promise((resolve) => (ended = resolve));
  const greet = client.createFunction({ id: "greet", triggers: [{ event: "user/joined" }] }, ({ event }) =>
    ended(event.data),
  );
  const options = { handleShutdownSignals: false };
  const worker = await connect({ ...options, apps: [{ client, functions: [greet] }] });
  await client.send({ name: "user/joined", data: { n: 1 } });
  expect(await whenEnded).toEqual({ n: 1 });
  await worker.close();
  await client.close();

  const refusals: readonly (readonly [id: string, token: string | undefined, code: string])[] = [
    ["bank", tokens["shop"], "FORBIDDEN"],
    ["shop", tokens["reader"], "FORBIDDEN"],
    ["shop", "eddy_unknown", "UNAUTHENTICATED"],
    ["shop", undefined, "UNAUTHENTICATED"],
  ];
  for (const [id, token, code] of refusals) {
    const other = new Eddy({ id, baseUrl: plain.url, token });
    const fn = other.createFunction({ id: "f", triggers: [{ event: "a" }] }, () => null);
    await expect(connect({ ...options, apps: [{ client: other, functions: [fn] }] })).rejects.toMatchObject({ code });
    await expect(other.send({ name: "a" })).rejects.toMatchObject({
      status: id === "bank" || token === tokens["reader"] ? 403 : 401,
    });
  }
});

it("tells the command what is missing, over TLS, and answers it once it has both", async () => {
  const ask = ["functions", "--url", secure.url];
  const [stranger, nobody, reader, sender] = await Promise.all([
    eddy(ask, { EDDY_TOKEN: tokens["reader"] as string }),
    eddy(ask, TRUST),
    eddy(ask, { ...TRUST, EDDY_TOKEN: tokens["reader"] as string }),
    eddy(["send", "user/joined", "--url", secure.url], { ...TRUST, EDDY_EVENT_KEY: tokens["sender"] as string }),
  ]);
  expect([stranger.code, nobody.code, reader.code, sender.code]).toEqual([5, 6, 0, 0]);
  expect(stranger.err).toMatch(/certificate/);
  expect(nobody.err).toMatch(/expected a token.*\(401 UNAUTHENTICATED\).*EDDY_TOKEN/);
});

it("does not listen beyond this machine without tokens", async () => {
  for (const command of [
    ["dev", "--in-memory"],
    ["start", "--brokers", "k:1"],
  ]) {
    const { code, err } = await eddy([...command, "--host", "0.0.0.0", "--port", "0"]);
    expect(code).toBe(2);
    expect(err).toMatch(/^eddy: host: 0\.0\.0\.0 can be reached from elsewhere, and there is no tokensFile/);
  }
});
