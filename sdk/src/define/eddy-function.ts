import { namesEvent, type FunctionConfig } from "@eddy/schemas";
import type { EventType, Untyped } from "./event-type.js";
import type { Logger } from "./logger.js";
import type { Handler } from "./types.js";

/** @returns the first id that more than one has. */
export function repeatedId(all: readonly { readonly id: string }[]): string | undefined {
  return all.find(({ id }, i) => all.findIndex((other) => other.id === id) !== i)?.id;
}

/** A function as `createFunction` returns it: give it to `connect`. */
export class EddyFunction {
  /** What travels to the engine. */
  readonly config: FunctionConfig;
  /** With its types erased: the engine's events decide what it gets. */
  readonly handler: Handler<Untyped, Untyped>;
  /** Event types of its triggers, by the names of the triggers, as far as they are known. */
  readonly triggerTypes: ReadonlyMap<string, EventType>;
  /** What its handler gets. */
  readonly logger: Logger;
  /** Does it end its invocation after each step? Concerns workers alone. */
  readonly isStrict: boolean;

  constructor(parts: {
    readonly config: FunctionConfig;
    readonly handler: Handler<Untyped, Untyped>;
    readonly triggerTypes: ReadonlyMap<string, EventType>;
    readonly logger: Logger;
    readonly isStrict: boolean;
  }) {
    this.config = parts.config;
    this.handler = parts.handler;
    this.triggerTypes = parts.triggerTypes;
    this.logger = parts.logger;
    this.isStrict = parts.isStrict;
  }

  /** As given, unique within its app. */
  get id(): string {
    return this.config.id;
  }

  /** The type of an event that started it, where one is known; that of a wildcard stands for all of its names. */
  triggerTypeOf(eventName: string): EventType | undefined {
    const known = this.triggerTypes.get(eventName);
    return known ?? [...this.triggerTypes.values()].find(({ name }) => namesEvent(name, eventName));
  }
}
