import type { EventInput } from "@eddy/schemas";
import type { MemoryEngine } from "@eddy/engine/testing";
import { readEvents, RequestError } from "@eddy/clients";
import { SendError } from "../errors/eddy-error.js";
import { reasonOf, type EventDelivery, type Sendable, type Try } from "../protocol/event-sender.js";

/** Events into an engine in memory, by the rules of the gateway: what that would refuse is refused here. */
export class MemoryDelivery implements EventDelivery {
  readonly #engine: MemoryEngine;
  #underWay = 0;

  constructor(engine: MemoryEngine) {
    this.#engine = engine;
  }

  /** Sends that have not ended. */
  get underWay(): number {
    return this.#underWay;
  }

  async try({ body, generated }: Sendable): Promise<Try> {
    this.#underWay += 1;
    try {
      const events: readonly EventInput[] = readEvents(JSON.parse(body));
      return { ids: await this.#engine.send(events, new Set(generated)) };
    } catch (cause) {
      return { error: sendError(cause), retryAfterMs: null };
    } finally {
      this.#underWay -= 1;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function sendError(cause: unknown): SendError {
  if (!(cause instanceof RequestError)) return new SendError("SEND_FAILED", reasonOf(cause), { cause });
  const { code, message, path, status } = cause;
  return new SendError(code, message, { path, status, cause });
}
