/**
 * Transport over Kafka: the step dispatcher runs in this process, as one member of the group of all who hand out the
 * app's steps. What it cannot tell of a run, it asks to be sent whole.
 *
 * Invariants: the app is registered by the first connection alone, so that a worker of an old version that has lost its
 * brokers for a while does not put its configuration back in force; by a later one only where it is registered no more.
 * `drain` leaves the group at once: others take over while reports of what runs here still go out.
 */
import type { AppConfig } from "@eddy/schemas";
import { decliningRunStates, NO_METER, registerApp, rejoinApp, StepDispatcher } from "@eddy/clients";
import type { Logger } from "../define/logger.js";
import type { AccessHold, LogAccess } from "../kafka/log-access.js";
import type { WorkerClock } from "../step/clock.js";
import { DispatcherConnection } from "./dispatcher-connection.js";
import { FrameTransport } from "./frame-transport.js";
import type { RunningInvocation } from "./transport.js";

export interface KafkaTransportDeps {
  /** Let go of by `close`. */
  readonly access: AccessHold;
  /** For the log: which namespace, and which brokers. */
  readonly place: { readonly namespace: string; readonly brokers: readonly string[] };
  readonly clock: WorkerClock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random?: () => number;
}

export class KafkaTransport extends FrameTransport {
  readonly #dispatching: Dispatching;

  constructor({ access, place, clock, logger, random }: KafkaTransportDeps) {
    const dispatching = new Dispatching(access);
    super({
      peer: "Eddy on Kafka",
      place,
      clock,
      logger,
      random,
      open: (connection) =>
        new DispatcherConnection({
          ...connection,
          dispatcherOf: (config, signal) => dispatching.dispatcherOf(config, signal),
        }),
    });
    this.#dispatching = dispatching;
  }

  override drain(): void {
    super.drain();
    this.#dispatching.retire();
  }

  override async close(left?: readonly RunningInvocation[]): Promise<void> {
    await super.close(left);
    await this.#dispatching.close();
  }
}

/** The dispatcher of one app, from the first connection on until the transport closes. */
class Dispatching {
  readonly #access: AccessHold;
  #isRegistered = false;
  #isRetired = false;
  #dispatcher: StepDispatcher | null = null;
  #closing: Promise<void> | null = null;

  constructor(access: AccessHold) {
    this.#access = access;
  }

  async dispatcherOf(config: AppConfig, signal: AbortSignal): Promise<StepDispatcher> {
    const access = await unlessAborted(this.#access.ready(), signal);
    await (this.#isRegistered ? rejoinApp : registerApp)(config, access, signal);
    this.#isRegistered = true;
    this.#dispatcher ??= await this.#start(config.app, access);
    if (this.#isRetired) await this.#dispatcher.retire();
    return this.#dispatcher;
  }

  async #start(app: string, access: LogAccess): Promise<StepDispatcher> {
    const states = decliningRunStates(access.lanes, access.lanes.partitions);
    const dispatcher = new StepDispatcher(app, { ...access, meter: NO_METER, states });
    try {
      await dispatcher.start();
      return dispatcher;
    } catch (error) {
      await dispatcher.stop();
      throw error;
    }
  }

  retire(): void {
    this.#isRetired = true;
    void this.#dispatcher?.retire();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#dispatcher?.stop();
    await this.#access.release();
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let giveUp = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    giveUp = () => reject(signal.reason as Error);
    signal.addEventListener("abort", giveUp, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
