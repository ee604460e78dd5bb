/** TLS on the gateway: what it speaks, and a certificate that changes under it. */
import { readFileSync } from "node:fs";
import { connect, type PeerCertificate } from "node:tls";
import { afterEach, beforeEach, expect, it } from "vitest";
import { WebSocket } from "ws";
import { ConfigError } from "../../../clients/src/errors/codes.js";
import { certificateOf, type Certificate } from "../../src/gateway/gateway.js";
import { until, world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway } from "./gateway-fixtures.js";

const pem = (name: string): string => readFileSync(new URL(`certificates/${name}.pem`, import.meta.url), "utf8");
const certificate = (name: string): Certificate => ({ cert: pem(`${name}.cert`), key: pem(`${name}.key`) });

let w: World;
let face: TestGateway;
beforeEach(async () => {
  w = await world();
  face = new TestGateway(w, { owners: new FakeOwners(), certificate: certificate("first") });
  await face.listen();
});
afterEach(async () => {
  await face.gateway.close();
  await w.close();
});

interface Heard {
  readonly peer: PeerCertificate;
  readonly answer: string;
}

/** Trusts this certificate alone. */
async function ask(name: string, options: { readonly maxVersion?: "TLSv1.1" } = {}): Promise<Heard> {
  const { hostname: host, port } = new URL(face.url);
  const socket = connect({ host, port: Number(port), ca: pem(`${name}.cert`), ...options });
  let answer = "";
  let error: Error | null = null;
  let peer: PeerCertificate | null = null;
  socket.setEncoding("utf8");
  socket.on("secureConnect", () => (peer = socket.getPeerCertificate()));
  socket.on("data", (text: string) => (answer += text));
  socket.on("error", (cause) => (error = cause));
  socket.write("GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  await until("an answer", () => error !== null || answer.includes("live"));
  socket.destroy();
  if (error !== null) throw error as Error;
  return { peer: peer as unknown as PeerCertificate, answer };
}

it("speaks TLS, and only to those who trust its certificate", async () => {
  expect(face.url).toMatch(/^https:/);
  const { peer, answer } = await ask("first");
  expect(peer.subject.CN).toBe("first.eddy.test");
  expect(answer).toMatch(/^HTTP\/1.1 200 /);
  await expect(ask("second")).rejects.toThrow(/self-signed/);
  await expect(ask("first", { maxVersion: "TLSv1.1" })).rejects.toThrow();
});

it("gives a new certificate to new connections", async () => {
  face.gateway.setCertificate(certificate("second"));
  expect((await ask("second")).peer.subject.CN).toBe("second.eddy.test");
});

it("takes workers over TLS", async () => {
  const socket = new WebSocket(face.url.replace("https", "wss") + "/v1/connect", { ca: pem("first.cert") });
  let said = "";
  socket.on("error", ({ message }) => (said = message));
  // The gateway of this test takes in nobody: that is said over TLS.
  await until("an answer", () => said.includes("503"));
});

it("refuses a certificate that is none, or not of its key", () => {
  const paths = { cert: "/tls.crt", key: "/tls.key" };
  expect(certificateOf([pem("first.cert"), pem("first.key")], paths)).toEqual(certificate("first"));
  for (const texts of [
    ["nonsense", pem("first.key")],
    [pem("first.cert"), pem("second.key")],
  ]) {
    expect(() => certificateOf(texts, paths)).toThrow(ConfigError);
    expect(() => certificateOf(texts, paths)).toThrow(/\/tls\.crt.*no certificate and its key/);
  }
});
