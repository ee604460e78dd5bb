/** A connection to one worker, as the dispatcher sees it: a WebSocket, or an object in a test or a simulation. */
import type { GatewayFrame } from "@eddy/schemas";

/** Why the engine closes a connection; the numbers are WebSocket close codes. */
export const CLOSE_CODES = {
  /** The engine stops; connect again later. */
  goingAway: 1001,
  /** A frame that cannot be understood, or out of turn. */
  brokenFrame: 4400,
  /** The hello was refused. */
  refused: 4403,
  /** The same worker connected again. */
  replaced: 4409,
  /** The log does not take what the worker reports: connect again and repeat what was not acknowledged. */
  tryAgain: 1013,
} as const;

export interface WorkerLink {
  /** Queues one frame. Never throws; after `close` it does nothing. */
  send(frame: GatewayFrame): void;
  /** Is more queued than the peer takes? While so, no request is given to this worker. */
  readonly isCongested: boolean;
  /** Ends the connection. Idempotent. */
  close(code: number, reason: string): void;
}

/** What a transport tells about its connection. */
export interface WorkerChannel {
  /** One frame as it came in. */
  receive(data: Uint8Array): void;
  /** The link is no longer congested. */
  writable(): void;
  /** The connection is gone, for whatever reason. Idempotent. */
  closed(): void;
}
