/** The client: what an app is called, where its engine or its Kafka is, and which events it knows. */
import { matchPath, slug } from "@eddy/schemas";
import { DefinitionError } from "../errors/eddy-error.js";
import { LOG_ACCESSES } from "../kafka/log-access.js";
import { readKafkaOptions, type KafkaOptions, type KafkaSettings } from "../kafka/kafka-options.js";
import { EventSender, type EventDelivery, type SendReply } from "../protocol/event-sender.js";
import { HttpDelivery } from "../protocol/http-delivery.js";
import { KafkaDelivery } from "../protocol/kafka-delivery.js";
import { Sealing, type EncryptionOptions } from "../sealing/sealing.js";
import { SYSTEM_CLOCK } from "../step/clock.js";
import { EddyFunction } from "./eddy-function.js";
import { readEnvironment, type Environment } from "./environment.js";
import { isEventType, type EventType, type Untyped } from "./event-type.js";
import { readFunctionOptions } from "./function-options.js";
import { CONSOLE_LOGGER, type Logger } from "./logger.js";
import { readSchemaRegistry, type SchemaRegistryOptions } from "./schema-registry.js";
import { strayPaths } from "./stray-paths.js";
import type { EventOfTrigger, FunctionOptions, Handler, OneOrMore, PayloadFor, Trigger } from "./types.js";

/** Options of `new Eddy()`. */
export interface EddyOptions<Types extends readonly EventType[] = readonly []> {
  /** The app's name. Letters, digits, `.`, `_`, `-`; its runs and topics carry it. */
  readonly id: string;
  /** Where the gateway is. Default: the environment's EDDY_BASE_URL, else http://127.0.0.1:8288. */
  readonly baseUrl?: string | undefined;
  /**
   * Send, and by default also work, over Kafka directly; then `baseUrl`, `eventKey`, `token` and `fetch` are not used. Default:
   * the environment's EDDY_KAFKA_BROKERS and EDDY_NAMESPACE, where no `baseUrl` is given; else the gateway. In a namespace
   * whose clock was moved (dev), events without `ts` get the real time.
   */
  readonly kafka?: KafkaOptions | undefined;
  /** Default: the environment's EDDY_EVENT_KEY, else "dev". */
  readonly eventKey?: string | undefined;
  /**
   * Shown to a gateway that asks for tokens, by workers and by `send`; where it does not allow to send, `eventKey` may.
   * Default: the environment's EDDY_TOKEN, else none.
   */
  readonly token?: string | undefined;
  /**
   * Seals what leaves the app: `data` and `user` of events, results of steps and handlers, messages and stacks of errors.
   * Names, ids, times and match values stay readable. All workers and senders of the app need the keys. Default: nothing.
   */
  readonly encryption?: EncryptionOptions | undefined;
  /** Event types by which events that are named by text are typed, and checked when sent. */
  readonly schemas?: Types | undefined;
  /**
   * Where `connect` registers the schemas of this app's events, as JSON Schema under `<event>-value`: those of `schemas`
   * and of its functions' triggers. Default: the environment's EDDY_SCHEMA_REGISTRY_URL, _USERNAME and _PASSWORD, else none.
   */
  readonly schemaRegistry?: SchemaRegistryOptions | undefined;
  /** Default: console. */
  readonly logger?: Logger | undefined;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
}

/** Event types of a list, by name. */
export type ByName<Types extends readonly EventType[]> = { readonly [T in Types[number] as T["name"]]: T };

/**
 * An app's client: defines its functions and sends events.
 * @example
 * ```ts
 * import { Eddy, eventType, staticSchema } from "@eddy/sdk";
 *
 * const paid = eventType("order/paid", { schema: staticSchema<{ order: string; total: number }>() });
 * export const eddy = new Eddy({ id: "shop", schemas: [paid] }); // "order/paid" is typed from here on
 * ```
 */
export class Eddy<const Types extends readonly EventType[] = readonly []> {
  /** The app's name. */
  readonly id: string;
  /** Where the gateway is, without a slash at its end. */
  readonly baseUrl: string;
  /** What Eddy's own lines go to, and what handlers get. */
  readonly logger: Logger;
  readonly #known: ReadonlyMap<string, EventType>;
  readonly #newSender: () => EventSender;
  readonly #sender: EventSender;
  readonly #kafka: KafkaSettings | null;
  readonly #schemaRegistry: SchemaRegistryOptions | null;
  readonly #token: string | null;
  readonly #sealing: Sealing | null;
  #diverted: EventDelivery | null = null;

  /** @throws DefinitionError CLIENT_INVALID */
  constructor(options: EddyOptions<Types>) {
    const environment = readEnvironment();
    this.id = checkId(options.id);
    this.baseUrl = checkBaseUrl(options.baseUrl ?? environment.baseUrl);
    this.logger = options.logger ?? CONSOLE_LOGGER;
    this.#known = new Map((options.schemas ?? []).map((type) => [checkType(type).name, type]));
    this.#kafka = kafkaOf(options, environment);
    this.#schemaRegistry = readSchemaRegistry(options.schemaRegistry, environment);
    this.#sealing = options.encryption === undefined ? null : new Sealing(checkEncryption(options.encryption));
    this.#token = checkToken(options.token ?? environment.token);
    this.#newSender = () => {
      const usual = this.#delivery(options, environment);
      const delivery: EventDelivery = {
        try: (events) => (this.#diverted ?? usual).try(events),
        close: () => usual.close(),
      };
      const seal = this.#sealing;
      return new EventSender({
        ...{ delivery, known: this.#known },
        ...(seal === null ? {} : { seal: (event) => seal.sealEvent(event) }),
      });
    };
    this.#sender = this.#newSender();
  }

  /** Where Kafka is, checked and complete; null: the gateway is used. */
  get kafka(): KafkaSettings | null {
    return this.#kafka;
  }

  /**
   * For workers: how payloads are sealed; null: they are not.
   * @internal
   */
  get sealing(): Sealing | null {
    return this.#sealing;
  }

  /**
   * For `connect`: where schemas of events go, and those that this client knows; null: nowhere.
   * @internal
   */
  eventSchemas(): { readonly registry: SchemaRegistryOptions; readonly types: readonly EventType[] } | null {
    return this.#schemaRegistry === null ? null : { registry: this.#schemaRegistry, types: [...this.#known.values()] };
  }

  /**
   * For `connect`: what the client's token adds to requests. A method, so that nobody prints it by chance.
   * @internal
   */
  authorization(): Readonly<Record<string, string>> {
    return this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
  }

  /**
   * Defines a durable function. Its handler is re-entered with remembered results, so code outside of steps runs again.
   * @throws DefinitionError FUNCTION_INVALID naming the option.
   * @example
   * ```ts
   * import { Eddy } from "@eddy/sdk";
   *
   * const eddy = new Eddy({ id: "shop" });
   * export const cartFlow = eddy.createFunction(
   *   {
   *     id: "cart-abandonment",
   *     triggers: [{ event: "cart/product.added" }, { event: "cart/restored", if: "event.data.items > 0" }],
   *     cancelOn: { event: "cart/product.added", timeout: "24h", match: "data.cart_id" },
   *     retries: 2,
   *   },
   *   async ({ event, step, logger }) => {
   *     const wait = { event: "cart/purchased", timeout: "24h", match: "data.cart_id" } as const;
   *     if ((await step.waitForEvent("purchase", wait)) !== null) return "bought";
   *     logger.info("left alone", event.data.cart_id); // Once, however often the handler is re-entered.
   *     return step.run("remind", () => "reminded");
   *   },
   * );
   * ```
   */
  createFunction<const T extends Trigger>(
    options: FunctionOptions & { readonly triggers: OneOrMore<T> },
    handler: Handler<EventOfTrigger<ByName<Types>, T>, ByName<Types>>,
  ): EddyFunction;
  /** The older form: the trigger is the second argument. */
  createFunction<const T extends Trigger>(
    options: FunctionOptions,
    trigger: OneOrMore<T>,
    handler: Handler<EventOfTrigger<ByName<Types>, T>, ByName<Types>>,
  ): EddyFunction;
  createFunction(options: FunctionOptions, ...rest: unknown[]): EddyFunction {
    const handler = rest.at(-1);
    const { config, isStrict, triggerTypes, unreadWaits } = readFunctionOptions({
      options: options as unknown as Readonly<Record<string, unknown>>,
      trigger: rest.length > 1 ? rest[0] : undefined,
      handler,
      known: this.#known,
    });
    if (unreadWaits > 0) {
      const message = "a waitForEvent is not all literal; declared in the `waits` option it spares runs a detour";
      this.logger.debug({ app: this.id, function: config.id, waits: unreadWaits }, message);
    }
    for (const match of strayPaths(config)) {
      const message = `match: ${JSON.stringify(match)} looks beside the data of events; did you mean "data.${match}"?`;
      this.logger.warn({ app: this.id, function: config.id, match }, message);
    }
    return new EddyFunction({
      config,
      triggerTypes,
      isStrict,
      handler: handler as Handler<Untyped, Untyped>,
      logger: this.logger,
    });
  }

  /**
   * Sends events. Resolves once the engine's log has them, so that a wait whose deadline has not passed will see them.
   * Ids are made before the first try, so that a repeat is harmless: 6 tries at most, with backoff.
   * @param events one, or up to 5,000. Those that share a match value are logged in this order. Others may be logged in any:
   *   where a try was refused half-way, what it had stored counts from then on, and the repeat adds the rest. A run that
   *   waits for two of them, one after the other, by different values takes both with `since: "trigger"`.
   * @returns their ids, in the same order.
   * @throws SendError with the gateway's code, status and the path of the field at fault; the same over Kafka.
   * @example
   * ```ts
   * import { Eddy, SendError } from "@eddy/sdk";
   *
   * const eddy = new Eddy({ id: "shop" });
   * try {
   *   const { ids } = await eddy.send([
   *     { name: "order/paid", id: "payment-77", data: { order: "o1" } }, // Sent again within 24 h: no effect.
   *     { name: "order/remind", ts: Date.now() + 3_600_000, data: { order: "o1" } }, // Runs start in an hour.
   *   ]);
   *   console.log(ids);
   * } catch (error) {
   *   if (error instanceof SendError && error.code === "EVENT_INVALID") console.error(error.path);
   *   else throw error;
   * }
   * ```
   */
  send<const Name extends string>(events: OneOrMore<PayloadFor<ByName<Types>, Name>>): Promise<SendReply> {
    return this.#sender.send(events);
  }

  /**
   * For `connect`: what this client's steps send with, which has the life of their worker. Close it.
   * @internal
   */
  openSender(): EventSender {
    return this.#newSender();
  }

  /**
   * For `@eddy/sdk/testing`: everything that this client and its steps send goes there, until it is diverted back by null.
   * @throws DefinitionError where it is diverted already
   */
  divert(to: EventDelivery | null): void {
    if (to !== null && this.#diverted !== null) {
      const message = `the client ${this.id} is in use by another test engine: close that one first`;
      throw new DefinitionError("CLIENT_INVALID", message, { path: "client" });
    }
    this.#diverted = to;
  }

  /**
   * Ends the connections by which this client sends, so that the process can end; workers, with what their steps send,
   * keep theirs until they are closed. Sends that are under way, and later ones, may be rejected over Kafka; over the gateway it does nothing.
   * Idempotent; never rejects.
   */
  close(): Promise<void> {
    return this.#sender.close();
  }

  #delivery(options: Pick<EddyOptions, "eventKey" | "fetch">, environment: Environment): EventDelivery {
    const kafka = this.#kafka;
    if (kafka !== null) {
      return new KafkaDelivery({ hold: () => LOG_ACCESSES.hold(kafka, this.logger), clock: SYSTEM_CLOCK });
    }
    return new HttpDelivery({
      url: `${this.baseUrl}/e/${encodeURIComponent(options.eventKey ?? environment.eventKey)}`,
      headers: this.authorization(),
      // Looked up at each call: tests and tracers replace the global.
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    });
  }
}

/** A client of any events. */
export type AnyEddy = Pick<
  Eddy<Untyped>,
  "id" | "baseUrl" | "kafka" | "logger" | "openSender" | "authorization" | "sealing" | "eventSchemas"
>;

function kafkaOf(
  { kafka, baseUrl }: Pick<EddyOptions, "kafka" | "baseUrl">,
  { kafkaBrokers }: Environment,
): KafkaSettings | null {
  if (kafka !== undefined) return readKafkaOptions(kafka);
  return kafkaBrokers === null || baseUrl !== undefined ? null : readKafkaOptions({ brokers: kafkaBrokers });
}

function checkId(id: unknown): string {
  const parsed = slug.safeParse(id);
  if (parsed.success) return parsed.data;
  throw new DefinitionError("CLIENT_INVALID", `new Eddy: id: ${parsed.error.issues[0]?.message ?? "is not valid"}`, {
    path: "id",
  });
}

function checkEncryption(options: EncryptionOptions): EncryptionOptions {
  for (const path of options.clear ?? []) {
    if (matchPath.safeParse(path).success && /^(data|user)\../.test(path)) continue;
    const message = `encryption: clear: expected paths such as data.cart_id, got ${JSON.stringify(path)}`;
    throw new DefinitionError("CLIENT_INVALID", message, { path: "encryption.clear" });
  }
  return options;
}

/** A header cannot hold everything. */
function checkToken(token: string | null): string | null {
  if (token === null || /^[\x21-\x7e]+$/.test(token)) return token;
  const message = "token: expected letters, digits and signs without spaces, as `eddy token create` makes them";
  throw new DefinitionError("CLIENT_INVALID", message, { path: "token" });
}

/** @returns the URL without a slash at its end. */
export function checkBaseUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : null;
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return url.href.replace(/\/+$/, "");
  const message = `baseUrl: expected an http or https URL, got ${JSON.stringify(given)}`;
  throw new DefinitionError("CLIENT_INVALID", message, { path: "baseUrl" });
}

function checkType(type: unknown): EventType {
  if (isEventType(type)) return type;
  throw new DefinitionError("CLIENT_INVALID", "new Eddy: schemas: expected a list of eventTypes", { path: "schemas" });
}
