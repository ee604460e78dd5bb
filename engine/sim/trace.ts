/** What happened, in order: always as a hash, in full where somebody wants to read it. */
export class Trace {
  #hash = 0x811c9dc5;
  #count = 0;
  readonly #print: ((line: string) => void) | null;

  /** @param print gets every line; null keeps the hash alone. */
  constructor(print: ((line: string) => void) | null) {
    this.#print = print;
  }

  get verbose(): boolean {
    return this.#print !== null;
  }

  /** `detail` is for readers and not part of the hash; it is asked for only if somebody reads. */
  add(atMs: number, who: string, what: string, detail?: () => string): void {
    this.#count += 1;
    this.#mix(atMs);
    this.#mixText(who);
    this.#mixText(what);
    this.#print?.(`${stamp(atMs)} ${who.padEnd(10)} ${what}${detail === undefined ? "" : ` ${detail()}`}`);
  }

  /** FNV-1a over all lines, and their number. */
  get hash(): string {
    return `${(this.#hash >>> 0).toString(16).padStart(8, "0")}/${this.#count}`;
  }

  #mix(n: number): void {
    this.#hash = Math.imul(this.#hash ^ (n | 0), 0x01000193);
  }

  #mixText(text: string): void {
    for (let i = 0; i < text.length; i++) this.#hash = Math.imul(this.#hash ^ text.charCodeAt(i), 0x01000193);
  }
}

/** Virtual time starts here, in ms since 1970: 2023-11-14T22:13:20Z. */
export const EPOCH_MS = 1_700_000_000_000;

function stamp(atMs: number): string {
  return `${((atMs - EPOCH_MS) / 1000).toFixed(3).padStart(10)}s`;
}
