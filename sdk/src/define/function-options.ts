/**
 * From what a user gives to `createFunction` to the `FunctionConfig` that travels. Everything that can be wrong is said
 * here, while the app starts, with the path of the option.
 */
import {
  declaredWait,
  functionConfig,
  LIMITS,
  parseTimeout,
  type DeclaredWait,
  type FunctionConfig,
} from "@eddy/schemas";
import { DefinitionError } from "../errors/eddy-error.js";
import { isEventType, type EventType } from "./event-type.js";
import { findWaits, type LiteralWait } from "./wait-literals.js";

export const DEFAULT_RETRIES = 4;

const KNOWN = ["id", "name", "description", "retries", "cancelOn", "waits", "strict", "triggers"];
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
];

const NO_WILDCARD = "a * at the end of a name is for triggers alone";

/** A configuration, and the event types that its triggers were given as. */
export interface ReadOptions {
  readonly config: FunctionConfig;
  readonly isStrict: boolean;
  readonly triggerTypes: ReadonlyMap<string, EventType>;
  /** Waits in the handler that neither its text nor the `waits` option tells: runs teach the engine of them. */
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
    const { triggers: all, ...config } = this.#check({
      id: options["id"],
      name: options["name"] ?? options["id"],
      triggers,
      cancelOn,
      waits: [...declared, ...this.#foundBeside(declared, found.waits)],
      retries: options["retries"] ?? DEFAULT_RETRIES,
    });
    return {
      isStrict: this.#flag("strict"),
      config: { ...config, triggers: distinct(all), waits: distinct(config.waits) },
      triggerTypes,
      unreadWaits: declared.length > 0 ? 0 : found.unread,
    };
  }

  /** Waits in the handler that were not declared. What only looks like a wait counts if it could be one. */
  #foundBeside(declared: readonly unknown[], found: readonly LiteralWait[]): readonly DeclaredWait[] {
    const known = new Set(declared.map((wait) => JSON.stringify(wait)));
    return found.flatMap(({ isNamed, ...wait }) => {
      const parsed = declaredWait.safeParse(wait);
      if (parsed.success && !wait.event.includes("*")) return known.has(JSON.stringify(wait)) ? [] : [parsed.data];
      if (!isNamed) return [];
      const issue = parsed.error?.issues[0];
      const what = issue === undefined ? `event: ${NO_WILDCARD}` : `${issue.path.join(".")}: ${issue.message}`;
      return this.#fail("handler", `a waitForEvent of ${JSON.stringify(wait.event)}: ${what}`);
    });
  }

  #checkNames(names: readonly string[]): void {
    for (const name of names) {
      if (KNOWN.includes(name)) continue;
      if (NOT_YET.includes(name)) this.#fail(name, "is an option that this version of Eddy does not have");
      this.#fail(name, `is not an option; options are ${KNOWN.join(", ")}`);
    }
  }

  #triggers(given: unknown): { event: string; if: unknown }[] {
    const list = this.#list("triggers", given);
    if (list.length === 0) this.#fail("triggers", 'expected at least one, such as { event: "cart/product.added" }');
    return list.map((trigger, i) => {
      const at = `triggers[${i}]`;
      if (isEventType(trigger)) return { event: this.#event(trigger, at), if: null };
      const { event, if: condition } = this.#fields(trigger, at, ["event", "if"]);
      return { event: this.#event(event, `${at}.event`), if: condition ?? null };
    });
  }

  /** As far as it can be wrong here; the rest is the schema's, which knows the same paths. */
  #cancelRule(given: unknown, index: number): object {
    const at = `cancelOn[${index}]`;
    const { timeout, ...listens } = this.#fields(given, at, ["event", "match", "if", "timeout"]);
    return {
      ...this.#listens(listens, at),
      timeout: timeout === undefined ? null : this.#timeout(timeout, `${at}.timeout`),
    };
  }

  #wait(given: unknown, index: number): object {
    const at = `waits[${index}]`;
    const { since, ...listens } = this.#fields(given, at, ["event", "match", "if", "since"]);
    return { ...this.#listens(listens, at), since: since ?? "mark" };
  }

  #listens({ event, match, if: condition }: Record<string, unknown>, at: string): object {
    const name = this.#event(event, `${at}.event`);
    if (name.includes("*")) this.#fail(`${at}.event`, NO_WILDCARD);
    return { event: name, match: match ?? null, if: condition ?? null };
  }

  #event(given: unknown, at: string): string {
    if (typeof given === "string") return given;
    if (!isEventType(given)) this.#fail(at, "expected an event name or an eventType");
    this.#types.set(given.name, given);
    return given.name;
  }

  #flag(name: string): boolean {
    const given = this.#raw.options[name] ?? false;
    return typeof given === "boolean" ? given : this.#fail(name, "expected true or false");
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
      const what = ["cron", "jitter"].includes(name) ? "is not in this version of Eddy" : "is not known";
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

function distinct<T>(list: readonly T[]): T[] {
  return [...new Map(list.map((item) => [JSON.stringify(item), item])).values()];
}
