import type { EventInput, StoredEvent } from "@eddy/schemas";
import type { MemoryEngine } from "@eddy/engine/testing";
import { readEvents, RequestError } from "@eddy/clients";
import { SendError } from "../errors/eddy-error.js";
import { reasonOf, type EventDelivery, type Sendable, type Try } from "../protocol/event-sender.js";

/** Events into an engine in memory, by the rules of the gateway: what that would refuse is refused here. */
export class MemoryDelivery implements EventDelivery {
  readonly #engine: MemoryEngine;
  /** By id, as runs get them. */
  readonly #events = new Map<string, StoredEvent>();
  #underWay = 0;

  constructor(engine: MemoryEngine) {
    this.#engine = engine;
  }

  /** An event that was sent, as runs got it; null: there was none of this id. */
  eventOf(id: string): StoredEvent | null {
    return this.#events.get(id) ?? null;
  }

  /** Sends that have not ended. */
  get underWay(): number {
    return this.#underWay;
  }

  async try({ body, generated }: Sendable): Promise<Try> {
    this.#underWay += 1;
    try {
      const events: readonly EventInput[] = readEvents(JSON.parse(body));
      const ids = await this.#engine.send(events, new Set(generated));
      for (const [i, event] of events.entries()) {
        this.#keep({ ...event, ts: event.ts ?? this.#engine.nowMs, id: ids[i] } as StoredEvent);
      }
      return { ids };
    } catch (cause) {
      return { error: sendError(cause), retryAfterMs: null };
    } finally {
      this.#underWay -= 1;
    }
  }

  /** A second one of the same id has no effect. */
  #keep(event: StoredEvent): void {
    if (!this.#events.has(event.id)) this.#events.set(event.id, event);
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
