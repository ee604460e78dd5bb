/** CRC-32C (Castagnoli), which Kafka puts over each record batch: eight bytes a turn, by eight tables. */

const POLYNOMIAL = 0x82f63b78;
const TABLE = makeTables();

function makeTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : POLYNOMIAL);
    tables[byte] = crc >>> 0;
  }
  for (let i = 256; i < tables.length; i += 1) {
    const previous = tables[i - 256] ?? 0;
    tables[i] = (previous >>> 8) ^ (tables[previous & 0xff] ?? 0);
  }
  return tables;
}

/** Of `bytes` from `from` on. */
export function crc32c(bytes: Uint8Array, from = 0): number {
  const table = TABLE;
  const at = (i: number): number => bytes[i] as number;
  const entry = (k: number, byte: number): number => table[k * 256 + byte] as number;
  let crc = 0xffffffff;
  let i = from;
  for (const last = bytes.length - 8; i <= last; i += 8) {
    crc ^= at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24);
    crc =
      entry(7, crc & 0xff) ^
      entry(6, (crc >>> 8) & 0xff) ^
      entry(5, (crc >>> 16) & 0xff) ^
      entry(4, crc >>> 24) ^
      entry(3, at(i + 4)) ^
      entry(2, at(i + 5)) ^
      entry(1, at(i + 6)) ^
      entry(0, at(i + 7));
  }
  for (; i < bytes.length; i += 1) crc = (crc >>> 8) ^ entry(0, (crc ^ at(i)) & 0xff);
  return (crc ^ 0xffffffff) >>> 0;
}
