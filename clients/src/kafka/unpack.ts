/** Record batches as other producers pack them. */
import { gunzipSync } from "node:zlib";
import { WireError } from "./wire.js";

/** By the number in a batch's attributes. */
const COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
/** Of an unpacked batch; above what a broker takes. */
const UNPACKED_BYTES_MAX = 256 * 1_048_576;

/** @throws WireError for a method that is not built in */
export function unpack(compression: number, bytes: Buffer): Buffer {
  const name = COMPRESSIONS[compression] ?? String(compression);
  if (name !== "gzip") {
    throw new WireError(`a record batch packed with ${name}; gzip alone is understood`);
  }
  return gunzipSync(bytes, { maxOutputLength: UNPACKED_BYTES_MAX });
}
