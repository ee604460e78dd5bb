/** What the processes that are killed write, so that their parent knows what to look for. */
export const STREAMS: readonly number[] = [0, 1, 2, 3, 4, 5];
export const ROWS: readonly string[] = ["meta", ...Array.from({ length: 40 }, (_, i) => `row-${i}`)];
export const GROUP = "crash-test";

/** Records of one append of a stream: from 1 to 40. */
export function batchSize(stream: number, batch: number): number {
  return ((stream * 31 + batch * 17) % 40) + 1;
}
