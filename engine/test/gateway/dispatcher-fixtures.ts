/** A dispatcher of the app `shop` over a memory log, with requests as partition tasks would write them. */
import {
  encodeSignal,
  encodeStepRequest,
  offset,
  shardText,
  type RunState,
  type StepRequest,
  type WorkerFrame,
} from "@eddy/schemas";
import { StepDispatcher } from "../../../clients/src/dispatch/step-dispatcher.js";
import type { RunStates } from "../../../clients/src/dispatch/run-states.js";
import type { WorkerSession } from "../../../clients/src/dispatch/worker-session.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { appTopicSpecs } from "../../../clients/src/topics.js";
import { FakeLink, fn, PARTITIONS, TOPICS, until, world, type World } from "./fixtures.js";

export const APP = "shop";

/** A run id on `partition`; different `no` give different runs. */
export const runOn = (partition: number, no: number): string =>
  shardText(partition) + no.toString(32).padStart(26, "0") + "1";

export function requestOf(runId: string, invocation = 1, id = "f"): StepRequest {
  return {
    app: APP,
    functionId: `${APP}/${id}`,
    runId,
    invocation,
    attempt: 0,
    maxAttempts: 5,
    stepAttempts: [],
    event: new Uint8Array([123, 125]),
    memo: [],
    memoTotal: 0,
  };
}

export interface FakeWorker {
  readonly link: FakeLink;
  readonly session: WorkerSession;
  /** Invocations that it was given, as `run/invocation`. */
  given(): string[];
  /** Reports and waits for the acknowledgement. */
  finish(runId: string, invocation?: number): Promise<void>;
  send(frame: WorkerFrame): void;
}

export class DispatcherWorld {
  readonly world: World;
  dispatcher: StepDispatcher;
  states: Map<string, RunState | null | Promise<RunState | null>> = new Map();
  /** `run/invocation/offset` of each state asked for. */
  readonly asked: string[] = [];
  #nextOffset = 1;
  #seq = 0;

  private constructor(w: World) {
    this.world = w;
    this.dispatcher = this.make();
  }

  static async make(): Promise<DispatcherWorld> {
    const w = await world();
    await w.log.ensureTopics(appTopicSpecs(TOPICS, APP, PARTITIONS));
    const made = new DispatcherWorld(w);
    await made.dispatcher.start();
    return made;
  }

  /** Another process with workers of the app, not started yet; the caller stops it. */
  make(): StepDispatcher {
    const stateOf: RunStates["stateOf"] = ({ runId, invocation, atOffset }) => {
      this.asked.push(`${runId}/${invocation}/${atOffset}`);
      const found = this.states.get(runId);
      return found === undefined ? Promise.reject(new Error("no state set")) : Promise.resolve(found);
    };
    const states: RunStates = {
      stateOf,
      isOver: async (wanted, signal) => (await stateOf(wanted, signal)) === null,
    };
    return new StepDispatcher(APP, { ...this.world, meter: NO_METER, topics: TOPICS, states });
  }

  /** As after a crash of the engine: the old dispatcher writes nothing more, a new one starts from the log. */
  async restart(): Promise<void> {
    await this.dispatcher.stop();
    this.dispatcher = this.make();
    await this.dispatcher.start();
  }

  /** Appends a request as an effect of a record at the next offset of its partition. @returns that offset. */
  async request(runId: string, invocation = 1, atOffset = this.#nextOffset++, id = "f"): Promise<number> {
    const partition = Number.parseInt(runId.slice(0, 3), 16) % PARTITIONS;
    const value = encodeStepRequest({ offset: offset(atOffset), index: 0 }, requestOf(runId, invocation, id));
    await this.world.log.append(TOPICS.steps(APP), partition, [{ key: runId, value }]);
    return atOffset;
  }

  async abort(runId: string, atOffset = this.#nextOffset++): Promise<void> {
    const value = encodeSignal({ offset: offset(atOffset), index: 0 }, { kind: "abort", runId });
    await this.world.log.append(TOPICS.signals(APP), 0, [{ key: runId, value }]);
  }

  /** @param ids of its functions */
  worker(workerId: string, slots: number, dispatcher = this.dispatcher, ids: readonly string[] = ["f"]): FakeWorker {
    const link = new FakeLink();
    const config = { app: APP, functions: ids.map((id) => fn({ id, triggers: [{ event: `${id}/asked` }] })) };
    const session = dispatcher.attach(link, { workerId, slots, config });
    const given = (): string[] => link.of("request").map(({ request: r }) => `${r.runId}/${r.invocation}`);
    const finish = async (runId: string, invocation = 1): Promise<void> => {
      const seq = ++this.#seq;
      const outcome = { kind: "suspended" as const };
      session.receive({ kind: "report", seq, report: { runId, invocation, ops: [], outcome } });
      await until("the acknowledgement", () => link.of("ack").some((ack) => ack.seq === seq));
    };
    return { link, session, given, finish, send: (frame) => session.receive(frame) };
  }

  async close(): Promise<void> {
    await this.dispatcher.stop();
    await this.world.close();
  }
}
