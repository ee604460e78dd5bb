/** A list that grows at the back and shrinks at the front, each in constant time; items are found by index. */
export class FrontQueue<T> {
  #items: T[] = [];
  /** Items before this index are gone. */
  #front = 0;

  get length(): number {
    return this.#items.length - this.#front;
  }

  /** @param index counts from the front. */
  at(index: number): T | undefined {
    return this.#items[this.#front + index];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Removes `count` items from the front. */
  drop(count: number): void {
    this.#front = Math.min(this.#front + count, this.#items.length);
    if (this.#front * 2 < this.#items.length) return;
    this.#items = this.#items.slice(this.#front);
    this.#front = 0;
  }

  clear(): void {
    this.#items = [];
    this.#front = 0;
  }

  /** Items from index `from` on, at most `max`. */
  slice(from: number, max: number): T[] {
    return this.#items.slice(this.#front + from, this.#front + from + max);
  }

  /** @returns the index of the first item for which `test` holds; items must be so ordered that it then stays true. */
  firstIndex(test: (item: T) => boolean): number {
    let low = this.#front;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const item = this.#items[middle];
      if (item !== undefined && !test(item)) low = middle + 1;
      else high = middle;
    }
    return low - this.#front;
  }
}
