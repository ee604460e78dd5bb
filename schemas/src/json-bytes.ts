/** JSON text in UTF-8, as events and results travel. */
const utf8 = { encoder: new TextEncoder(), decoder: new TextDecoder() };

export function jsonBytes(value: unknown): Uint8Array {
  return utf8.encoder.encode(JSON.stringify(value));
}

/** @returns null for bytes that are not JSON. */
export function parsedJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decoder.decode(bytes)) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
