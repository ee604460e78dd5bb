/** Transport over the gateway's WebSocket. */
import type { Logger } from "../define/logger.js";
import type { WorkerClock } from "../step/clock.js";
import { FrameTransport } from "./frame-transport.js";
import { GatewayConnection } from "./gateway-connection.js";

export interface GatewayTransportDeps {
  /** ws(s) URL of `/v1/connect`. */
  readonly url: string;
  /** With each handshake. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly clock: WorkerClock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random?: () => number;
}

export class GatewayTransport extends FrameTransport {
  constructor({ url, headers = {}, clock, logger, random }: GatewayTransportDeps) {
    super({
      peer: "the gateway",
      place: { url },
      clock,
      logger,
      random,
      open: (connection) =>
        new GatewayConnection({
          ...connection,
          url,
          headers,
          clock,
          onBrokenFrame: (problem) =>
            logger.error({ url, problem }, "the gateway sent a frame that cannot be understood"),
        }),
    });
  }
}
