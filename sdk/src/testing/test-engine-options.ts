/** What a test engine is given, and what sending to it gives. */
import type { Eddy } from "../define/client.js";
import type { EddyFunction } from "../define/eddy-function.js";
import type { Untyped } from "../define/event-type.js";
import type { Logger } from "../define/logger.js";

/** Of {@link testEngine}. */
export interface TestEngineOptions {
  /** At least one; all of one app. */
  readonly functions: readonly EddyFunction[];
  /**
   * The functions' client. Given, what it sends while the test engine is open goes there too, also inside of steps, and
   * its `schemas` are checked. Give it to one test engine at a time. Default: a client of the test engine's own.
   */
  readonly client?: TestedClient | undefined;
  /** When virtual time begins: a Date, ms since 1970, or ISO 8601 text. Default: now. */
  readonly now?: Date | number | string | undefined;
  /** How long nothing may happen, in ms of real time, while a step or handler still runs. Default 4,000. */
  readonly patienceMs?: number | undefined;
  /**
   * As for `connect`, in ms of real time: how long a handler may take for work of its own beside a sleep or wait, before it
   * is thought to have none. Each sleep or wait of a parallel group that ends takes a test that long. Default 50.
   */
  readonly idleGraceMs?: number | undefined;
  /** Gets the lines of engine and worker, such as failed attempts. Default: nobody. A handler's own go where they always go. */
  readonly logger?: Logger | undefined;
}

/** As much of a client as is needed here. */
export type TestedClient = Pick<Eddy<Untyped>, "id" | "send" | "openSender" | "divert" | "sealing">;

/** What `t.send` resolves with. */
export interface Sent {
  /** Ids of the events, in their order. */
  readonly ids: readonly string[];
  /** Ids of the runs that they started, in the same order; `t.run(id)` shows one. */
  readonly runs: readonly string[];
}
