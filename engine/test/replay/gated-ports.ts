/** The ports of one process, each call through a gate that may fail it, freeze the process, or end it. */
import { TransientError } from "../../../clients/src/errors/codes.js";
import type { Clock } from "../../../clients/src/ports/clock.js";
import type { ChangelogWriter, Log, LogReader } from "../../../clients/src/ports/log.js";
import type { Store, StoreFactory } from "../../src/ports/store.js";

/** `fail…` with an unknown outcome; `crash…`: the process is gone; `freeze`: it stands still until it is thawed. */
export type Fate = "go" | "failBefore" | "failAfter" | "crashBefore" | "crashAfter" | "freeze";

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

export class Gate {
  calls = 0;
  crashed = false;
  frozen = false;
  #fate: (call: number, what: string) => Fate;
  #thawed = Promise.resolve();
  #thaw: () => void = () => undefined;

  constructor(fate: (call: number, what: string) => Fate = () => "go") {
    this.#fate = fate;
  }

  /** @param fallible whether the port may answer with a TransientError. */
  async pass<T>(what: string, fallible: boolean, act: () => Promise<T>): Promise<T> {
    if (this.crashed) return never();
    await this.#thawed;
    this.calls += 1;
    const fate = this.#fate(this.calls, what);
    if (fate === "crashBefore") return this.#crash();
    if (fate === "failBefore" && fallible) throw new TransientError(`planned: ${what} failed, not done`);
    if (fate === "freeze") await this.#freeze();
    const result = await act();
    if (fate === "crashAfter") return this.#crash();
    if (this.isCrashed()) return never();
    await this.#thawed;
    if (fate === "failAfter" && fallible) throw new TransientError(`planned: ${what} failed, done`);
    return result;
  }

  /** The process goes on, and nothing befalls it any more. */
  thaw(): void {
    this.frozen = false;
    this.#fate = () => "go";
    this.#thaw();
  }
  /** Asked after an await, in which it may have changed. */
  isCrashed(): boolean {
    return this.crashed;
  }
  #crash<T>(): Promise<T> {
    this.crashed = true;
    return never();
  }
  #freeze(): Promise<void> {
    this.frozen = true;
    this.#thawed = new Promise<void>((resolve) => {
      this.#thaw = resolve;
    });
    return this.#thawed;
  }
}

export function gatedLog(gate: Gate, log: Log, onCommitted: () => void = () => undefined): Log {
  return {
    ensureTopics: (specs) => gate.pass("ensureTopics", true, () => log.ensureTopics(specs)),
    topicId: (topic) => gate.pass("topicId", true, () => log.topicId(topic)),
    append: (topic, partition, records) =>
      gate.pass(`append ${topic}`, true, () => log.append(topic, partition, records)),
    offsets: (topic, partition) => gate.pass("offsets", true, () => log.offsets(topic, partition)),
    reader: (topic, partition, from) => gatedReader(gate, log.reader(topic, partition, from)),
    openChangelogWriter: (topic, partition) =>
      gate.pass("openChangelogWriter", true, async () =>
        gatedWriter(gate, await log.openChangelogWriter(topic, partition), onCommitted),
      ),
    commitGroupOffset: (...args) => gate.pass("commitGroupOffset", true, () => log.commitGroupOffset(...args)),
    groupOffset: (...args) => gate.pass("groupOffset", true, () => log.groupOffset(...args)),
    close: () => gate.pass("close log", false, () => log.close()),
  };
}

function gatedReader(gate: Gate, reader: LogReader): LogReader {
  return {
    read: (limits) => gate.pass("read", true, () => reader.read(limits)),
    get position() {
      return reader.position;
    },
    // A call that wakes a waiting read: it must not wait for what it wakes.
    close: () => (gate.crashed ? never() : reader.close()),
  };
}

function gatedWriter(gate: Gate, writer: ChangelogWriter, onCommitted: () => void): ChangelogWriter {
  return {
    commit: (records) =>
      gate.pass("commit", true, async () => {
        const end = await writer.commit(records);
        onCommitted();
        return end;
      }),
    close: () => gate.pass("close writer", false, () => writer.close()),
  };
}

export function gatedStores(gate: Gate, stores: StoreFactory): StoreFactory {
  return {
    open: (name) => gate.pass("open store", false, async () => gatedStore(gate, await stores.open(name))),
    destroy: (name) => gate.pass("destroy store", false, () => stores.destroy(name)),
  };
}

function gatedStore(gate: Gate, store: Store): Store {
  return {
    getMany: (keys) => gate.pass("getMany", false, () => store.getMany(keys)),
    scan: (range) => gate.pass("scan", false, () => store.scan(range)),
    write: (batch) => gate.pass("write", false, () => store.write(batch)),
    close: () => gate.pass("close store", false, () => store.close()),
  };
}

export function gatedClock(gate: Gate, clock: Clock): Clock {
  return {
    nowMs: () => clock.nowMs(),
    sleep: (ms, signal) => gate.pass("sleep", false, () => clock.sleep(ms, signal)),
  };
}
