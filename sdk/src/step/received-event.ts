import type { EddyEvent } from "../define/event-type.js";
import { decodeJson } from "../protocol/json.js";

/** An event as handlers get it, from its JSON text. */
export function receivedEvent(payload: Uint8Array): EddyEvent {
  const event = decodeJson(payload) as EddyEvent;
  return { ...event, data: (event.data as unknown) ?? {} };
}
