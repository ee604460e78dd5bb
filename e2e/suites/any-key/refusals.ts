/** Conditions that do not parse are refused where they are written, and at the door for whoever does not look. */
import { once } from "node:events";
import { decodeFrame, encodeFrame, type FunctionConfig } from "@eddy/schemas";
import { Eddy } from "@eddy/sdk";
import { expect, it } from "vitest";
import { WebSocket } from "ws";
import type { Stage } from "./stage.js";

const BROKEN = 'async.data.id == event.data.id && async.data.name = "x"';
const PLACE = `does not parse as CEL at character ${BROKEN.indexOf(' = "x"') + 2} of ${JSON.stringify(BROKEN)}`;

export function refusals(stage: Stage): void {
  it("G8: a condition that does not parse is refused where the function is defined, with its position", () => {
    const client = new Eddy({ id: "broken" });
    const triggers = [{ event: "x" }];
    const define = (more: object) => () => client.createFunction({ id: "f", triggers, ...more }, () => null);
    expect(define({ cancelOn: { event: "y", if: BROKEN } })).toThrow(PLACE);
    expect(define({ waits: [{ event: "y", if: BROKEN }] })).toThrow(PLACE);
    expect(define({ triggers: [{ event: "x", if: "event.data.id ==" }] })).toThrow("at character 17");
  });

  it("G8: and at its registration, by whatever worker", async () => {
    const { url } = stage.world;
    const listens = { event: "y", match: null, if: BROKEN };
    const good = { id: "f", name: "f", triggers: [{ event: "x", if: null }], cancelOn: [], waits: [], retries: 0 };
    const configs: FunctionConfig[] = [
      { ...good, cancelOn: [{ ...listens, timeout: null }] },
      { ...good, waits: [{ ...listens, since: "mark" }] },
    ];
    for (const config of configs) {
      const answer = await sayHello(url, config);
      expect(answer).toMatchObject({ kind: "refused", code: "INVALID_HELLO" });
      expect((answer as { message: string }).message).toContain(PLACE);
    }
    const fine = await sayHello(url, good);
    expect(fine).toMatchObject({ kind: "welcome" });
  });
}

/** @returns the first frame that the gateway answers with */
async function sayHello(url: string, config: FunctionConfig): Promise<unknown> {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/v1/connect`);
  try {
    await once(socket, "open");
    const hello = { workerId: "raw", sdk: "raw", protocol: 1, slots: 1, config: { app: "raw", functions: [config] } };
    socket.send(encodeFrame({ kind: "hello", ...hello }));
    const [data] = (await once(socket, "message")) as [Buffer];
    return decodeFrame(data);
  } finally {
    socket.terminate();
  }
}
