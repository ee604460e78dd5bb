/** Bytes that are no request, or that never become one: bounded, answered in our words, and nobody else notices. */
import { connect, type Socket } from "node:net";
import { errorReply } from "@eddy/schemas";
import { afterEach, beforeEach, expect, it } from "vitest";
import { until, world, type World } from "./fixtures.js";
import { FakeOwners, TestGateway } from "./gateway-fixtures.js";

let w: World;
let face: TestGateway;
const sockets: Socket[] = [];
beforeEach(async () => {
  w = await world();
  const arrival = { headersMsMax: 50, requestMsMax: 100, lookEveryMs: 10 };
  face = new TestGateway(w, { owners: new FakeOwners(), arrival });
  await face.listen();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await face.gateway.close();
  await w.close();
});

/** Sends this and no more. @returns all that came back, once the gateway has closed the connection */
async function talk(...parts: readonly string[]): Promise<string> {
  const socket = connect(Number(new URL(face.url).port), "127.0.0.1");
  sockets.push(socket);
  let answer = "";
  let isClosed = false;
  socket.on("data", (data: Buffer) => (answer += data.toString()));
  socket.on("error", () => undefined); // it may be closed while we write
  socket.on("close", () => (isClosed = true));
  for (const part of parts) socket.write(part);
  await until("the gateway closes the connection", () => isClosed);
  return answer;
}

const POST = "POST /e/dev HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
const headers = (count: number): string => Array.from({ length: count }, (_, i) => `x-${i}: y\r\n`).join("");

it.each<[string, readonly string[], number, string]>([
  ["a header that is too large", [`${POST}x-a: ${"y".repeat(20_000)}\r\n\r\n`], 431, "HEADERS_TOO_LARGE"],
  ["a flood of headers", [POST, headers(3_000)], 431, "HEADERS_TOO_LARGE"],
  ["a path that is too long", [`GET /${"y".repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`], 431, "HEADERS_TOO_LARGE"],
  ["TLS", ["\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"], 400, "BAD_REQUEST"],
  ["two lengths", [`${POST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`], 400, "BAD_REQUEST"],
  ["a body that claims to be huge", [`${POST}Content-Length: 99999999999\r\n\r\n{}`], 413, "REQUEST_TOO_LARGE"],
  ["a body that does not go on", [`${POST}Content-Length: 100\r\n\r\n`, "{"], 408, "REQUEST_TIMEOUT"],
  ["headers that do not go on", [POST], 408, "REQUEST_TIMEOUT"],
])("answers %s, closes that connection, and serves others", async (_, parts, status, code) => {
  const [head, body] = (await talk(...parts)).split("\r\n\r\n");
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(errorReply.parse(JSON.parse(body ?? "")).error.code).toBe(code);
  expect(w.logger.lines).toEqual([]);
  expect((await fetch(`${face.url}/health/live`)).status).toBe(200);
});
