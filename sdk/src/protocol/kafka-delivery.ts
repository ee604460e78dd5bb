/**
 * Events straight into the log, by the rules of the gateway: what it would refuse is refused here, with its codes, and
 * what is sent is what would come out of its JSON parser.
 */
import { LIMITS, type EventInput } from "@eddy/schemas";
import { EventSender as LogSender, NO_METER, readEvents, RequestError, REQUEST_CODES } from "@eddy/clients";
import { ClosedError, EddyError as LogError, TransientError } from "@eddy/clients/errors";
import { ulid } from "ulid";
import { SendError } from "../errors/eddy-error.js";
import type { AccessHold, LogAccess } from "../kafka/log-access.js";
import type { WorkerClock } from "../step/clock.js";
import { reasonOf, type EventDelivery, type Sendable, type Try } from "./event-sender.js";

/** How long a send waits for the first connection to Kafka, in ms; after it, connecting goes on behind. */
export const OPEN_MS_MAX = 10_000;

export interface KafkaDeliveryDeps {
  /** Takes hold of the connections; called at the first send. */
  readonly hold: () => AccessHold;
  readonly clock: WorkerClock;
}

export class KafkaDelivery implements EventDelivery {
  readonly #deps: KafkaDeliveryDeps;
  #access: AccessHold | null = null;
  #sender: { readonly of: LogAccess; readonly sender: LogSender } | null = null;
  #isClosed = false;

  constructor(deps: KafkaDeliveryDeps) {
    this.#deps = deps;
  }

  async try({ body, generated }: Sendable): Promise<Try> {
    if (this.#isClosed) return closed();
    try {
      const bytes = Buffer.byteLength(body);
      if (bytes > LIMITS.requestBytesMax) {
        const message = `expected a body of at most ${LIMITS.requestBytesMax} bytes`;
        throw new RequestError("REQUEST_TOO_LARGE", message);
      }
      const events: readonly EventInput[] = readEvents(JSON.parse(body));
      const access = await this.#opened();
      if (access === null) return this.#notOpen();
      return { ids: await this.#senderOf(access).send(events, new Set(generated)) };
    } catch (error) {
      return this.#failed(error);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#access?.release();
  }

  /** @returns null where that lasts too long. */
  #opened(): Promise<LogAccess | null> {
    this.#access ??= this.#deps.hold();
    const ready = this.#access.ready();
    return new Promise((resolve, reject) => {
      const cancel = this.#deps.clock.after(OPEN_MS_MAX, () => resolve(null));
      ready.finally(cancel).then(resolve, reject);
    });
  }

  #senderOf(access: LogAccess): LogSender {
    if (this.#sender?.of !== access) {
      const sender = new LogSender({ ...access, meter: NO_METER, advanceMs: () => 0, makeId: ulid });
      this.#sender = { of: access, sender };
    }
    return this.#sender.sender;
  }

  #notOpen(): Try {
    const message = `no answer from Kafka: still waiting for ${this.#access?.waitingFor ?? "the log"}`;
    return { error: new SendError("SEND_FAILED", message), retryAfterMs: null };
  }

  #failed(cause: unknown): Try {
    if (this.#isClosed || cause instanceof ClosedError) return closed(cause);
    if (cause instanceof RequestError) {
      const { code, message, path, status } = cause;
      return { error: new SendError(code, message, { path, status, cause }), retryAfterMs: null };
    }
    if (cause instanceof TransientError) {
      const { status } = REQUEST_CODES.UNAVAILABLE;
      return { error: new SendError("UNAVAILABLE", cause.message, { status, cause }), retryAfterMs: 0 };
    }
    const code = cause instanceof LogError ? cause.code : "SEND_FAILED";
    return { error: new SendError(code, reasonOf(cause), { cause }), retryAfterMs: null };
  }
}

function closed(cause?: unknown): Try {
  return { error: new SendError("SEND_FAILED", "this client is closed", { cause }), retryAfterMs: null };
}
