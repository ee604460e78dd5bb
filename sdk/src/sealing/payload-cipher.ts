/** How payloads are sealed before they leave the app. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { DefinitionError } from "../errors/eddy-error.js";

/** A payload that only who has the key can read. */
export interface SealedPayload {
  /** Id of the key; not secret. */
  readonly key: string;
  /** All that is needed beside the key. */
  readonly data: Uint8Array;
}

/**
 * Seals and opens payloads. One's own may use any keys; whoever asks a key service fetches data keys before, for both are
 * called in between and do not wait.
 */
export interface PayloadCipher {
  /**
   * Seals one payload.
   * @param context what it is of. It is not secret, and the payload must not open under another one.
   */
  seal(plain: Uint8Array, context: string): SealedPayload;
  /**
   * Opens what `seal` has sealed, also by an earlier key.
   * @throws any error where the key is not known, or payload or context are not what was sealed.
   */
  open(sealed: SealedPayload, context: string): Uint8Array;
}

/** Options of {@link aes256Gcm}. */
export interface KeyRing {
  /** Id of the key that seals. */
  readonly current: string;
  /** By id: 32 bytes, or their base64 text. All of them open. */
  readonly keys: Readonly<Record<string, Uint8Array | string>>;
}

const ALGORITHM = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID = /^[A-Za-z0-9_.-]{1,64}$/;

/**
 * AES-256-GCM with a random nonce: a key is good for some billions of payloads. To rotate add a key everywhere, then make it
 * the current one, and keep the old one for as long as runs and events are kept.
 * @throws DefinitionError for keys that are not 32 bytes, or a current one that is not there.
 * @example
 * ```ts
 * import { aes256Gcm, Eddy } from "@eddy/sdk";
 *
 * const keys = { "2026-11": process.env["PAYLOAD_KEY"] ?? "" }; // openssl rand -base64 32
 * const cipher = aes256Gcm({ current: "2026-11", keys });
 * export const eddy = new Eddy({ id: "shop", encryption: { cipher, clear: ["data.cart_id"] } });
 * ```
 */
export function aes256Gcm({ current, keys }: KeyRing): PayloadCipher {
  const byId = new Map(Object.entries(keys).map(([id, key]) => [id, readKey(id, key)]));
  const sealing = byId.get(current);
  if (sealing === undefined)
    throw invalid(`there is no key ${JSON.stringify(current)}, which is to be the current one`);
  return {
    seal(plain, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, sealing, nonce).setAAD(Buffer.from(context));
      const parts = [cipher.update(plain), cipher.final()];
      return { key: current, data: Buffer.concat([nonce, cipher.getAuthTag(), ...parts]) };
    },
    open({ key, data }, context) {
      const opening = byId.get(key);
      if (opening === undefined) throw new Error(`there is no key ${JSON.stringify(key)} to open a payload with`);
      const nonce = data.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv(ALGORITHM, opening, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(context)).setAuthTag(data.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(data.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    },
  };
}

/** Nothing of a key is said. */
function readKey(id: string, key: Uint8Array | string): Uint8Array {
  if (!KEY_ID.test(id)) throw invalid(`expected ids of letters, digits, ".", "_" and "-", got ${JSON.stringify(id)}`);
  const bytes = typeof key === "string" ? Buffer.from(key, "base64") : key;
  if (bytes.length === KEY_BYTES) return bytes;
  throw invalid(`expected the key ${JSON.stringify(id)} to be ${KEY_BYTES} bytes, got ${bytes.length}`);
}

function invalid(message: string): DefinitionError {
  return new DefinitionError("CLIENT_INVALID", `aes256Gcm: ${message}`, { path: "keys" });
}
