/**
 * Compares two keys by their UTF-8 bytes without encoding them. JavaScript compares UTF-16 units, which differs only
 * where a surrogate pair (U+10000 and above) meets a unit from U+E000 to U+FFFF: the pair is greater.
 * @returns < 0, 0 or > 0.
 */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const xIsSurrogate = (x & 0xf800) === 0xd800;
    const yIsSurrogate = (y & 0xf800) === 0xd800;
    if (xIsSurrogate !== yIsSurrogate && x >= 0xd800 && y >= 0xd800) return xIsSurrogate ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}
