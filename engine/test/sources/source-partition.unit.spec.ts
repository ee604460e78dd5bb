/** Where a source goes on in its partition, by what was committed and what has become of the topic. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NO_METER, type GroupOffset, type Log, type LogRecord, type Meter } from "@eddy/clients";
import { OffsetOutOfRangeError, TransientError } from "@eddy/clients/errors";
import { offset, type EventInput, type Offset } from "@eddy/schemas";
import { ManualClock } from "../../src/adapters/memory/index.js";
import { parseJson } from "../../src/sources/decoded.js";
import { SourcePartition, type SourcePartitionDeps } from "../../src/sources/source-partition.js";
import { mappingOf } from "../../src/sources/to-event.js";
import { eventually } from "../e2e/fixtures.js";
import { LinesLogger } from "../gateway/fixtures.js";

/** A topic of one partition that can be deleted, cut short and made again. */
class Topic {
  id = "11111111aaaa";
  start = 0;
  values: string[] = [];

  get end(): number {
    return this.start + this.values.length;
  }
  read(from: number): readonly LogRecord[] {
    if (from < this.start || from > this.end) throw new OffsetOutOfRangeError(`offset ${from}`);
    return this.values.slice(from - this.start).map((text, i) => ({
      offset: offset(from + i),
      key: null,
      value: new TextEncoder().encode(text),
      appendTimeMs: 1,
    }));
  }
}

describe("a partition of a source", () => {
  let topic: Topic;
  let sent: string[];
  let counted: string[];
  let committed: GroupOffset | null;
  let failing: Error | null;
  let source: SourcePartition | null;
  beforeEach(() => {
    topic = new Topic();
    [sent, counted, committed, failing, source] = [[], [], null, null, null];
  });
  afterEach(() => source?.stop());

  function log(): Log {
    const reader = (_: string, __: number, from: Offset) => {
      let position = from;
      let wake: () => void = () => undefined;
      return {
        get position() {
          return position;
        },
        read: async () => {
          const records = topic.read(position);
          if (records.length === 0) await new Promise<void>((resolve) => setImmediate((wake = resolve)));
          position = offset(position + records.length);
          return records;
        },
        close: () => Promise.resolve(wake()),
      };
    };
    const offsets = () => Promise.resolve({ start: offset(topic.start), end: offset(topic.end) });
    return { topicId: () => Promise.resolve(topic.id), offsets, reader } as unknown as Log;
  }

  function open(more: Partial<SourcePartitionDeps> = {}): SourcePartition {
    const meter: Meter = {
      ...NO_METER,
      count: (_, by, labels) => void counted.push(`${labels?.["outcome"]} ${by}`),
    };
    source = new SourcePartition({
      log: log(),
      clock: new ManualClock(1_000),
      logger: new LinesLogger(),
      meter,
      sender: {
        send: (events: readonly EventInput[]) => {
          if (failing !== null) return Promise.reject(failing);
          sent.push(...events.map(({ id }) => id ?? ""));
          return Promise.resolve([]);
        },
      },
      member: {
        committed: () => Promise.resolve(committed),
        commit: (_, at) => {
          committed = at;
          return Promise.resolve();
        },
      },
      decode: parseJson,
      mapping: mappingOf({ topic: "t", format: "json", event: "e", from: "earliest" }),
      topic: "t",
      partition: 0,
      dlq: { topic: "dlq", partitions: 1 },
      from: "earliest",
      ...more,
    });
    source.resume();
    return source;
  }
  const reached = (at: number) => eventually(`${at} is committed`, () => committed?.offset === at);
  const places = () => sent.map((id) => Number(id.split("/")[2]));

  it("begins at the first record, and after that where the group is", async () => {
    topic.values = ["{}", "{}"];
    await (open(), reached(2));
    await source?.stop();
    topic.values.push("{}");
    await (open(), reached(3));
    expect(places()).toEqual([0, 1, 2]);
    expect(committed).toEqual({ offset: 3, metadata: topic.id });
  });

  it("goes on at what retention has left, and counts what is gone", async () => {
    committed = { offset: offset(1), metadata: topic.id };
    topic.start = 5;
    topic.values = ["{}"];
    await (open(), reached(6));
    expect(places()).toEqual([5]);
    expect(counted).toEqual(["deleted 4", "event 1"]);
  });

  it("begins anew, with other ids, in a topic that was made again", async () => {
    topic.values = ["{}", "{}"];
    await (open(), reached(2));
    await source?.stop();
    topic.id = "22222222bbbb";
    topic.values = ["{}"];
    await (open(), reached(1));
    expect(sent).toEqual(["t/0/0/11111111", "t/0/1/11111111", "t/0/0/22222222"]);
  });

  it("sends nothing twice where the topic has lost its end", async () => {
    committed = { offset: offset(7), metadata: topic.id };
    topic.values = ["{}", "{}"];
    open();
    await eventually("it reads", () => source?.nextOffset === 2);
    topic.values.push("{}");
    await reached(3);
    expect(places()).toEqual([2]);
  });

  it("says why it stands still, and goes on by itself", async () => {
    topic.values = ["{}"];
    failing = new TransientError("the inbox is away");
    const clock = new ManualClock(1_000);
    open({ clock });
    await eventually("it says so", () => source?.trouble === "the inbox is away");
    failing = null;
    await eventually("it goes on", () => {
      clock.advance(5_000);
      return committed?.offset === 1;
    });
    expect(source?.trouble).toBeNull();
    expect(places()).toEqual([0]);
  });

  it("does not take more while the group changes", async () => {
    await (open(), eventually("it reads", () => source?.nextOffset === 0));
    await source?.quiesce();
    topic.values = ["{}"];
    expect(sent).toEqual([]);
    source?.resume();
    await reached(1);
    expect(places()).toEqual([0]);
  });
});
