/** Bugs around the ports: the log, the disk, the workers. */
import { offset } from "@eddy/schemas";
import type { Log, LogReader, LogRecord } from "@eddy/clients";
import type { Store } from "../../src/ports/store.js";
import type { Sabotage } from "../cluster.js";
import type { Plant } from "./plant.js";

function readersOf(log: Log, wrap: (reader: LogReader, topic: string) => LogReader): Log {
  return { ...methodsOf(log), reader: (topic, partition, from) => wrap(log.reader(topic, partition, from), topic) };
}

/** Class instances keep their methods on the prototype: this makes them own, bound properties. */
function methodsOf(log: Log): Log {
  return {
    ensureTopics: (specs) => log.ensureTopics(specs),
    topicId: (topic) => log.topicId(topic),
    append: (topic, partition, records) => log.append(topic, partition, records),
    offsets: (topic, partition) => log.offsets(topic, partition),
    reader: (topic, partition, from) => log.reader(topic, partition, from),
    openChangelogWriter: (topic, partition) => log.openChangelogWriter(topic, partition),
    commitGroupOffset: (group, topic, partition, at) => log.commitGroupOffset(group, topic, partition, at),
    groupOffset: (group, topic, partition) => log.groupOffset(group, topic, partition),
    close: () => log.close(),
  };
}

export const PORT_PLANTS: readonly Plant[] = [
  {
    name: "checkpoint-past-unacked-effect",
    summary: "an effect counts as sent before the log has it",
    sabotage: {
      engine: (ports) => {
        const { log, clock } = ports;
        const last = new Map<string, Promise<unknown>>();
        const append: Log["append"] = async (topic, partition, records) => {
          const at = `${topic}/${partition}`;
          const before = last.get(at) ?? Promise.resolve();
          const sent = before.then(() => log.append(topic, partition, records)).catch(() => undefined);
          last.set(at, sent);
          return { baseOffset: offset(0), appendTimeMs: clock.nowMs() };
        };
        return { ...ports, log: { ...methodsOf(log), append } };
      },
    },
  },
  {
    name: "lost-fencing",
    summary: "a former owner's checkpoint is taken",
    sabotage: {
      engine: (ports) => {
        const { log } = ports;
        const openChangelogWriter: Log["openChangelogWriter"] = async (topic, partition) => {
          let writer = await log.openChangelogWriter(topic, partition);
          return {
            commit: async (records) => {
              try {
                return await writer.commit(records);
              } catch (error) {
                if (!(error instanceof Error) || error.name !== "FencedError") throw error;
                writer = await log.openChangelogWriter(topic, partition);
                return writer.commit(records);
              }
            },
            close: () => writer.close(),
          };
        };
        return { ...ports, log: { ...methodsOf(log), openChangelogWriter } };
      },
    },
  },
  {
    name: "timers-after-the-record",
    summary: "time moves to a record's append time only after the record was decided",
    sabotage: {
      engine: (ports) => {
        const lastMs = new Map<LogReader, number>();
        const late = (reader: LogReader, record: LogRecord): LogRecord => {
          const appendTimeMs = lastMs.get(reader) ?? record.appendTimeMs;
          lastMs.set(reader, record.appendTimeMs);
          return { ...record, appendTimeMs };
        };
        const log = readersOf(ports.log, (reader, topic) =>
          topic.endsWith(".inbox")
            ? {
                read: async (limits) => (await reader.read(limits)).map((record) => late(reader, record)),
                close: () => reader.close(),
                get position() {
                  return reader.position;
                },
              }
            : reader,
        );
        return { ...ports, log };
      },
    },
  },
  {
    name: "timer-index-not-restored",
    summary: "a restore brings the rows back without the timers that follow from them",
    sabotage: { engine: (ports) => ({ ...ports, stores: { ...storesOf(ports.stores, forgetfulAtFirst) } }) },
  },
  {
    name: "tombstones-lost",
    summary: "deleted rows stay in the changelog",
    sabotage: {
      engine: (ports) => {
        const { log } = ports;
        const openChangelogWriter: Log["openChangelogWriter"] = async (topic, partition) => {
          const writer = await log.openChangelogWriter(topic, partition);
          return {
            commit: (records) => writer.commit(records.filter(({ value }) => value !== null)),
            close: () => writer.close(),
          };
        };
        return { ...ports, log: { ...methodsOf(log), openChangelogWriter } };
      },
    },
  },
  {
    name: "worker-without-mark",
    summary: "a worker runs every request that it reads, repeats included",
    adjust: (scenario) => ({ ...scenario, habits: scenario.habits.map((h) => ({ ...h, forgetsMark: true })) }),
  },
];

type StoreFactory = Parameters<NonNullable<Sabotage["engine"]>>[0]["stores"];

function storesOf(stores: StoreFactory, wrap: (store: Store) => Store): StoreFactory {
  return { open: async (name) => wrap(await stores.open(name)), destroy: (name) => stores.destroy(name) };
}

/** Until it is first scanned, which is when the restore is over. */
function forgetfulAtFirst(store: Store): Store {
  let restoring = true;
  return {
    getMany: (keys) => store.getMany(keys),
    scan: (range) => {
      restoring = false;
      return store.scan(range);
    },
    write: ({ puts, deletes }) =>
      store.write({ puts: restoring ? puts.filter(([key]) => !key.startsWith("t|")) : puts, deletes }),
    close: () => store.close(),
  };
}
