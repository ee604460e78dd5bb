/**
 * Payloads as they leave the app: JSON all the same, so that whoever looks at runs and events sees that something is sealed.
 * What is not sealed is taken as it is: runs that began before encryption was switched on go on.
 *
 * A value is `{"eddy/sealed":{"key":"k1","data":"<base64>"}}`. An event has the same inside of its `data`, beside the fields
 * that stay clear. The message of an error is `eddy/sealed:k1:<base64>`. Each is bound to what it is of: the run and step,
 * or the event's name and id.
 */
import type { ErrorShape } from "@eddy/schemas";
import { decodeJson, encodeJson } from "../protocol/json.js";
import type { PayloadCipher } from "./payload-cipher.js";

const MARK = "eddy/sealed";
const VALUE_START = Buffer.from(`{"${MARK}":`);
const TEXT_START = `${MARK}:`;
/** Of message and stack each: both have to fit a message when they are sealed, at 6 bytes a character. */
const ERROR_CHARS_MAX = 4_000;

/** How an app's payloads are sealed. */
export interface EncryptionOptions {
  /** {@link aes256Gcm}, or one's own. */
  readonly cipher: PayloadCipher;
  /**
   * Paths of events that engines may read, such as `data.cart_id`: all that `match` and `if` name. They stay readable to
   * everybody on the way; handlers get what was sealed. Default: none.
   */
  readonly clear?: readonly string[] | undefined;
}

/** As much of an event as is looked at. */
interface EventLike {
  readonly id?: unknown;
  readonly name?: unknown;
  readonly data?: unknown;
  readonly user?: unknown;
}
type Fields = Record<string, unknown>;

export class Sealing {
  readonly #cipher: PayloadCipher;
  readonly #clear: readonly (readonly string[])[];

  constructor({ cipher, clear = [] }: EncryptionOptions) {
    this.#cipher = cipher;
    this.#clear = clear.map((path) => path.split("."));
  }

  /** @param json of a step's result, or of what a handler returned */
  sealValue(json: Uint8Array, context: string): Uint8Array {
    return encodeJson({ [MARK]: this.#seal(json, context) });
  }

  /** @throws what the cipher throws */
  openValue(json: Uint8Array, context: string): Uint8Array {
    if (!VALUE_START.equals(json.subarray(0, VALUE_START.length))) return json;
    return this.#open((decodeJson(json) as Fields)[MARK], context);
  }

  /** @param event with its id */
  sealEvent<E extends EventLike>(event: E): E {
    const { data, user, ...rest } = event;
    const sealed = this.#seal(encodeJson({ data, ...(user === undefined ? {} : { user }) }), contextOf(event));
    const clear: Fields = {};
    for (const path of this.#clear) copyAt(event, clear, path);
    const { data: clearData, user: clearUser } = clear;
    return {
      ...rest,
      data: { ...(clearData as Fields | undefined), [MARK]: sealed },
      ...(clearUser === undefined ? {} : { user: clearUser }),
    } as unknown as E;
  }

  /** @param payload of an event, as JSON text. @throws what the cipher throws */
  openEvent(payload: Uint8Array): Uint8Array {
    const event = decodeJson(payload) as EventLike;
    const opened = this.openedEvent(event);
    return opened === event ? payload : encodeJson(opened); // A user that is undefined is not in JSON.
  }

  /** The same of an event that is read already. */
  openedEvent<E extends EventLike>(event: E): E {
    const sealed = (event.data as Fields | null | undefined)?.[MARK];
    if (sealed === undefined) return event;
    const opened = decodeJson(this.#open(sealed, contextOf(event))) as EventLike;
    return { ...event, user: undefined, ...opened };
  }

  /** Its name stays. */
  sealError({ name, message, stack }: ErrorShape, context: string): ErrorShape {
    const cut = { message: message.slice(0, ERROR_CHARS_MAX), stack: stack?.slice(0, ERROR_CHARS_MAX) ?? null };
    const { key, data } = this.#seal(encodeJson(cut), context);
    return { name, message: `${TEXT_START}${key}:${data}`, stack: null };
  }

  /** @throws what the cipher throws */
  openError(error: ErrorShape, context: string): ErrorShape {
    if (!error.message.startsWith(TEXT_START)) return error;
    const text = error.message.slice(TEXT_START.length);
    const at = text.indexOf(":");
    const sealed = { key: text.slice(0, at), data: text.slice(at + 1) };
    return { name: error.name, ...(decodeJson(this.#open(sealed, context)) as Pick<ErrorShape, "message" | "stack">) };
  }

  #seal(plain: Uint8Array, context: string): { readonly key: string; readonly data: string } {
    const { key, data } = this.#cipher.seal(plain, context);
    return { key, data: Buffer.from(data).toString("base64") };
  }

  #open(sealed: unknown, context: string): Uint8Array {
    const { key, data } = sealed as { readonly key: unknown; readonly data: unknown };
    if (typeof key !== "string" || typeof data !== "string") throw new Error(`${MARK}: expected a key and data`);
    return this.#cipher.open({ key, data: Buffer.from(data, "base64") }, context);
  }
}

export const contextOfStep = (runId: string, stepId: string): string => `step ${runId} ${stepId}`;
export const contextOfRun = (runId: string): string => `run ${runId}`;
const contextOf = ({ name, id }: EventLike): string => `event ${String(name)} ${String(id)}`;

/** What is not there is not copied. */
function copyAt(from: unknown, to: Fields, [key = "", ...rest]: readonly string[]): void {
  if (typeof from !== "object" || from === null || !Object.hasOwn(from, key)) return;
  const value = (from as Fields)[key];
  if (rest.length === 0) {
    to[key] = value;
    return;
  }
  const inner = { ...(to[key] as Fields | undefined) };
  copyAt(value, inner, rest);
  if (Object.keys(inner).length > 0) to[key] = inner;
}
