/** How fresh a tail says that it is: whoever goes by it must not be told of more than has been handled. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { offset, type Offset } from "@eddy/schemas";
import { ManualClock } from "../../../engine/src/adapters/memory/manual-clock.js";
import type { Log, LogReader, LogRecord } from "../../src/ports/log.js";
import { LogTail } from "../../src/registry/log-tail.js";

const NO_LOGGER = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Reads are answered one by one, with what the test says. */
class ScriptedLog {
  end = 0;
  asked = 0;
  #position = 0;
  #answer: ((records: readonly LogRecord[]) => void) | null = null;

  readonly log = {
    offsets: () => {
      this.asked += 1;
      return Promise.resolve({ start: offset(0), end: offset(this.end) });
    },
    reader: (): LogReader => {
      const position = (): Offset => offset(this.#position);
      return {
        read: () => new Promise((resolve) => (this.#answer = resolve)),
        close: () => {
          this.#answer?.([]);
          return Promise.resolve();
        },
        get position() {
          return position();
        },
      };
    },
  } as unknown as Log;

  /** The read under way gives the next `count` records. */
  async give(count: number): Promise<void> {
    await turns();
    const records = Array.from({ length: count }, (_, i) => ({
      offset: offset(this.#position + i),
      appendTimeMs: 0,
      key: null,
      value: null,
    }));
    this.#position += count;
    this.#answer?.(records);
    await turns();
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe("a tail", () => {
  let clock: ManualClock;
  let scripted: ScriptedLog;
  let tail: LogTail;
  beforeEach(() => {
    clock = new ManualClock(1_000_000);
    scripted = new ScriptedLog();
    tail = new LogTail({
      log: scripted.log,
      clock,
      logger: NO_LOGGER,
      topic: "t",
      partition: 0,
      from: offset(0),
      recordsMax: 10,
      onRecords: () => undefined,
    });
    tail.start();
  });
  afterEach(() => tail.stop());

  it("is as fresh as the question that was answered with nothing, however long the answer took", async () => {
    await turns();
    clock.advance(700);
    await scripted.give(0);
    expect(tail.freshAtMs).toBe(1_000_000);
    clock.advance(100);
    await scripted.give(0);
    expect(tail.freshAtMs).toBe(1_000_700);
    expect(scripted.asked).toBe(0);
  });

  it("is not fresh by records alone: any read may leave some behind", async () => {
    scripted.end = 100;
    await scripted.give(3);
    clock.advance(5_000);
    await scripted.give(3);
    expect(tail.freshAtMs).toBe(Number.NEGATIVE_INFINITY);
    expect(scripted.asked).toBe(1);
  });

  it("is fresh under records without an end, once it has come to what was the end", async () => {
    await turns();
    await scripted.give(0);
    clock.advance(999);
    scripted.end = 4;
    await scripted.give(2);
    expect([scripted.asked, tail.freshAtMs]).toEqual([0, 1_000_000]);
    clock.advance(1);
    scripted.end = 6;
    await scripted.give(2);
    expect([scripted.asked, tail.freshAtMs]).toEqual([1, 1_000_000]);
    clock.advance(300);
    await scripted.give(1);
    expect(tail.freshAtMs).toBe(1_000_000);
    await scripted.give(1);
    expect([scripted.asked, tail.freshAtMs]).toEqual([1, 1_001_000]);
  });
});
