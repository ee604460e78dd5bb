/**
 * From what a user gives to `createFunction` to the `FunctionConfig` that travels. Everything that can be wrong is said
 * here, while the app starts, with the path of the option.
 */
import {
  functionConfig,
  LIMITS,
  parseTimeout,
  type CancelRule,
  type DeclaredWait,
  type FunctionConfig,
} from "@eddy/schemas";
import { DefinitionError } from "../errors/eddy-error.js";
import { isEventType, type EventType } from "./event-type.js";
import { findWaits } from "./wait-literals.js";

export const DEFAULT_RETRIES = 4;

const KNOWN = ["id", "name", "description", "retries", "cancelOn", "waits", "triggers"];
/** Options of Inngest's that are not built yet: named, so that nobody relies on one that does nothing. */
const NOT_YET = [
  "concurrency",
  "throttle",
  "rateLimit",
  "debounce",
  "batchEvents",
  "priority",
  "singleton",
  "idempotency",
  "timeouts",
  "onFailure",
  "middleware",
  "optimizeParallelism",
  "checkpointing",
  "strict",
];

/** A configuration, and the event types that its triggers were given as. */
export interface ReadOptions {
  readonly config: FunctionConfig;
  readonly triggerTypes: ReadonlyMap<string, EventType>;
  /** Waits in the handler that neither its text nor the `waits` option tells. */
  readonly unreadWaits: number;
}

export interface RawFunction {
  readonly options: Readonly<Record<string, unknown>>;
  /** The second of three arguments; undefined in the form with two. */
  readonly trigger: unknown;
  readonly handler: unknown;
  /** Event types known to the client, by name. */
  readonly known: ReadonlyMap<string, EventType>;
}

/** @throws DefinitionError FUNCTION_INVALID */
export function readFunctionOptions(raw: RawFunction): ReadOptions {
  const reader = new OptionReader(raw);
  return reader.read();
}

class OptionReader {
  readonly #raw: RawFunction;
  readonly #who: string;
  /** Event types that the options mention, by name. */
  readonly #types = new Map<string, EventType>();

  constructor(raw: RawFunction) {
    this.#raw = raw;
    const id = (raw.options as { id?: unknown } | null | undefined)?.id;
    this.#who = typeof id === "string" && id !== "" ? `createFunction ${JSON.stringify(id)}` : "createFunction";
  }

  read(): ReadOptions {
    const { options, trigger, handler, known } = this.#raw;
    if (typeof options !== "object" || options === null) this.#fail("options", "expected an object of options");
    this.#checkNames(Object.keys(options));
    if (typeof handler !== "function") this.#fail("handler", "expected a function");
    if (options["id"] === undefined) this.#fail("id", "is required");
    if (trigger !== undefined && options["triggers"] !== undefined) {
      this.#fail("triggers", "are given twice: as an option and as the second argument");
    }
    const triggers = this.#triggers(trigger ?? options["triggers"]);
    const triggerTypes = new Map(this.#types);
    for (const { event } of triggers) {
      const type = known.get(event);
      if (type !== undefined && !triggerTypes.has(event)) triggerTypes.set(event, type);
    }
    const cancelOn = this.#list("cancelOn", options["cancelOn"]).map((rule, i) => this.#cancelRule(rule, i));
    const declared = this.#list("waits", options["waits"]).map((wait, i) => this.#wait(wait, i));
    const found = findWaits(Function.prototype.toString.call(handler), (name) => this.#constant(name));
    const config = this.#check({
      id: options["id"],
      name: options["name"] ?? options["id"],
      triggers,
      cancelOn,
      waits: distinct([...declared, ...found.waits]),
      retries: options["retries"] ?? DEFAULT_RETRIES,
    });
    this.#checkOneKey(config);
    return { config, triggerTypes, unreadWaits: declared.length > 0 ? 0 : found.unread };
  }

  /** Runs, waits and cancel rules of a function must meet on one partition; better said now than by each run. */
  #checkOneKey({ cancelOn, waits }: FunctionConfig): void {
    const paths = [...new Set([...cancelOn, ...waits].map(({ match }) => match))];
    if (paths.length < 2) return;
    const what = `its cancelOn and waits match by ${paths.join(" and ")}`;
    this.#fail("match", `${what}; in this version of Eddy all of a function's must match by the same path`);
  }

  #checkNames(names: readonly string[]): void {
    for (const name of names) {
      if (KNOWN.includes(name)) continue;
      if (NOT_YET.includes(name)) this.#fail(name, "is an option that this version of Eddy does not have");
      this.#fail(name, `is not an option; options are ${KNOWN.join(", ")}`);
    }
  }

  #triggers(given: unknown): { event: string }[] {
    const list = this.#list("triggers", given);
    if (list.length === 0) this.#fail("triggers", 'expected at least one, such as { event: "cart/product.added" }');
    const events = list.map((trigger, i) => {
      const at = `triggers[${i}]`;
      if (isEventType(trigger)) return this.#event(trigger, at);
      const { event } = this.#fields(trigger, at, ["event"]);
      return this.#event(event, `${at}.event`);
    });
    return [...new Set(events)].map((event) => ({ event }));
  }

  #cancelRule(given: unknown, index: number): CancelRule {
    const at = `cancelOn[${index}]`;
    const { event, match, timeout } = this.#fields(given, at, ["event", "match", "timeout"]);
    return {
      event: this.#event(event, `${at}.event`),
      match: this.#match(match, `${at}.match`),
      timeout: timeout === undefined ? null : this.#timeout(timeout, `${at}.timeout`),
    };
  }

  #wait(given: unknown, index: number): DeclaredWait {
    const at = `waits[${index}]`;
    const { event, match } = this.#fields(given, at, ["event", "match"]);
    return { event: this.#event(event, `${at}.event`), match: this.#match(match, `${at}.match`) };
  }

  #event(given: unknown, at: string): string {
    if (typeof given === "string") {
      if (given.includes("*")) this.#fail(at, "wildcards in event names are not in this version of Eddy");
      return given;
    }
    if (!isEventType(given)) this.#fail(at, "expected an event name or an eventType");
    this.#types.set(given.name, given);
    return given.name;
  }

  #match(given: unknown, at: string): string {
    if (typeof given === "string") return given;
    return this.#fail(at, 'expected the path of a value in both events, such as "data.cart_id"');
  }

  #timeout(given: unknown, at: string) {
    try {
      return parseTimeout(given as string | number | Date);
    } catch (error) {
      return this.#fail(at, error instanceof Error ? error.message : String(error));
    }
  }

  /** One or an array of them. */
  #list(at: string, given: unknown): readonly unknown[] {
    if (given === undefined) return [];
    const list: readonly unknown[] = Array.isArray(given) ? given : [given];
    if (at === "triggers" && list.length > LIMITS.triggersPerFunctionMax) {
      this.#fail(at, `expected at most ${LIMITS.triggersPerFunctionMax}, got ${list.length}`);
    }
    return list;
  }

  #fields(given: unknown, at: string, names: readonly string[]): Record<string, unknown> {
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      this.#fail(at, `expected an object with ${names.join(", ")}`);
    }
    for (const name of Object.keys(given)) {
      if (names.includes(name)) continue;
      const what = ["if", "cron", "jitter"].includes(name) ? "is not in this version of Eddy" : "is not known";
      this.#fail(`${at}.${name}`, `${what}; known are ${names.join(", ")}`);
    }
    return given as Record<string, unknown>;
  }

  /** A constant that stands for an event type is most often named like its event. */
  #constant(identifier: string): string | undefined {
    const wanted = lettersOf(identifier);
    for (const name of [...this.#types.keys(), ...this.#raw.known.keys()]) if (lettersOf(name) === wanted) return name;
    return undefined;
  }

  #check(config: Record<keyof FunctionConfig, unknown>): FunctionConfig {
    const parsed = functionConfig.safeParse(config);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    const path = (issue?.path ?? []).reduce<string>(
      (text, part) =>
        typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
      "",
    );
    return this.#fail(path, issue?.message ?? "is not valid");
  }

  #fail(path: string, message: string): never {
    throw new DefinitionError("FUNCTION_INVALID", `${this.#who}: ${path}: ${message}`, { path });
  }
}

function lettersOf(name: string): string {
  return name.replace(/[^\p{L}\p{N}]/gu, "").toLowerCase();
}

function distinct(waits: readonly DeclaredWait[]): DeclaredWait[] {
  return [...new Map(waits.map((wait) => [`${wait.event}\n${wait.match}`, wait])).values()];
}
