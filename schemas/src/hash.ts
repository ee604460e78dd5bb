import { sha256 } from "@noble/hashes/sha2.js";

const utf8 = new TextEncoder();
const ALPHABET = "0123456789abcdefghijklmnopqrstuv";

/**
 * First 130 bits of SHA-256 over the parts, as 26 characters of base32hex, so that text order equals byte order.
 * Parts are length-prefixed: ("a","b") and ("ab","") differ.
 */
export function digestOf(...parts: readonly string[]): string {
  let text = "";
  for (const part of parts) text += `${part.length}:${part}`;
  const bytes = sha256(utf8.encode(text));
  let out = "";
  let bits = 0;
  let value = 0;
  for (let i = 0; out.length < 26; i++) {
    value = (value << 8) | (bytes[i] as number);
    bits += 8;
    while (bits >= 5 && out.length < 26) {
      bits -= 5;
      out += ALPHABET[(value >>> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return out;
}

/**
 * Kafka's murmur2 over UTF-8 bytes, seed 0x9747b28c. @returns a signed 32-bit integer, as Kafka's Java client gives.
 * Source: Austin Appleby's MurmurHash2, as used by org.apache.kafka.common.utils.Utils.murmur2.
 */
export function murmur2(text: string): number {
  const data = utf8.encode(text);
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ data.length;
  const whole = data.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  const rest = data.length - whole;
  if (rest === 3) h ^= data[whole + 2]! << 16;
  if (rest >= 2) h ^= data[whole + 1]! << 8;
  if (rest >= 1) h = Math.imul(h ^ data[whole]!, m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return (h ^ (h >>> 15)) | 0;
}
