/**
 * CloudEvents 1.0 as its binding for Kafka has them: structured (the value is the whole event in JSON) or binary (the
 * attributes are headers `ce_...`, the value is the data). Both become the same object, that of the JSON format. Not by
 * the `cloudevents` package: that brings a second validator for what are four attributes, and types of kafkajs.
 */
import type { RecordHeaders } from "@eddy/clients";
import { headerText, parseJson, UndecodableError } from "./decoded.js";

const PREFIX = "ce_";
const STRUCTURED = "application/cloudevents+json";
const REQUIRED = ["id", "source", "type"] as const;
const IS_JSON = /^[^;]*[/+]json\s*(;|$)/i;

/** @throws UndecodableError */
export function decodeCloudEvent(value: Uint8Array, headers: RecordHeaders): Record<string, unknown> {
  const contentType = headerText(headers, "content-type") ?? "";
  const isBinary = headers.has(`${PREFIX}specversion`) && !contentType.startsWith(STRUCTURED);
  const event = isBinary ? binaryEvent(value, headers, contentType) : parseJson(value);
  if (typeof event !== "object" || event === null || !("specversion" in event)) {
    throw new UndecodableError("no CloudEvent: it has neither specversion nor a header ce_specversion");
  }
  const attributes = event as Record<string, unknown>;
  if (attributes["specversion"] !== "1.0") {
    throw new UndecodableError(`a CloudEvent of version ${JSON.stringify(attributes["specversion"])}, expected "1.0"`);
  }
  for (const name of REQUIRED) {
    const given = attributes[name];
    if (typeof given === "string" && given !== "") continue;
    throw new UndecodableError(`the CloudEvent has no ${name}`);
  }
  return attributes;
}

function binaryEvent(value: Uint8Array, headers: RecordHeaders, contentType: string): Record<string, unknown> {
  const event: Record<string, unknown> = {};
  for (const name of headers.keys()) {
    if (name.startsWith(PREFIX)) event[name.slice(PREFIX.length)] = headerText(headers, name);
  }
  if (value.byteLength === 0) return event;
  if (contentType === "" || IS_JSON.test(contentType)) return { ...event, data: parseJson(value) };
  return { ...event, datacontenttype: contentType, data_base64: Buffer.from(value).toString("base64") };
}
