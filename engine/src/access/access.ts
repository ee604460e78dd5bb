/**
 * Who may do what. Without a tokens file everybody may do everything, which the configuration lets happen on loopback
 * alone. A token that is taken out of the file is worth nothing within `LOOK_EVERY_MS`, connections that it opened
 * included.
 */
import { timingSafeEqual } from "node:crypto";
import { RequestError } from "@eddy/clients";
import { ConfigError } from "@eddy/clients/errors";
import { EVERYBODY, type Grant, type Scope } from "./scopes.js";
import { digestOf, readTokens, type KnownToken } from "./tokens.js";
import type { WatchedFiles } from "./watched-files.js";

export interface AccessFiles {
  readonly tokensFile?: string | undefined;
  /** Holds the token by which this engine asks others. */
  readonly peerTokenFile?: string | undefined;
}

export class Access {
  /** null: no tokens are asked for. */
  #tokens: readonly KnownToken[] | null = null;
  #peerToken: string | null = null;
  readonly #listeners: (() => void)[] = [];

  /** @throws ConfigError for files that cannot be read or used, or a token for peers that the tokens file does not have. */
  constructor({ tokensFile, peerTokenFile }: AccessFiles, files: WatchedFiles) {
    if (tokensFile === undefined) return;
    files.watch([tokensFile], ([text = ""]) => {
      this.#tokens = readTokens(text, tokensFile);
      for (const listener of this.#listeners) listener();
    });
    if (peerTokenFile === undefined) return;
    files.watch([peerTokenFile], ([text = ""]) => {
      const token = text.trim();
      if (!this.#find(token)?.scopes.has("peer")) {
        throw new ConfigError(`the token in ${peerTokenFile} is none of ${tokensFile} with the scope peer`);
      }
      this.#peerToken = token;
    });
  }

  get isRequired(): boolean {
    return this.#tokens !== null;
  }

  /** By which this engine asks others; null: it has none. */
  get peerToken(): string | null {
    return this.#peerToken;
  }

  /** Told whenever the tokens have changed. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * The first of these tokens that allows it. @param given null: none was given
   * @throws RequestError UNAUTHENTICATED where none is known, FORBIDDEN where none has the scope.
   */
  check(scope: Scope, given: readonly (string | null)[]): Grant {
    if (this.#tokens === null) return EVERYBODY;
    const known = given.flatMap((token) => (token === null ? [] : (this.#find(token) ?? [])));
    const allowed = known.find(({ scopes }) => scopes.has(scope));
    if (allowed !== undefined) return allowed;
    const [first] = known;
    if (first !== undefined) {
      throw new RequestError("FORBIDDEN", `the token ${first.name} does not have the scope ${scope}`);
    }
    const what = given.some((token) => token !== null) ? "this token is not known" : "expected a token";
    throw new RequestError("UNAUTHENTICATED", `${what}: Authorization: Bearer <token>, with the scope ${scope}`);
  }

  /** Is what a token was let in for still allowed? */
  stillHolds(grant: Grant): boolean {
    if (grant === EVERYBODY) return this.#tokens === null;
    return this.#tokens?.some((token) => isSame(token.grant, grant)) ?? true;
  }

  /** Compares with all of them, whatever the outcome, so that the time tells nothing. */
  #find(token: string): Grant | null {
    const digest = digestOf(token);
    let found: Grant | null = null;
    for (const known of this.#tokens ?? []) if (timingSafeEqual(known.digest, digest)) found = known.grant;
    return found;
  }
}

/** Of a file that was read again, all grants are new objects. */
function isSame(a: Grant, b: Grant): boolean {
  return a.hash === b.hash && textOf(a.scopes) === textOf(b.scopes) && textOf(a.apps) === textOf(b.apps);
}

const textOf = (names: ReadonlySet<string> | null): string => (names === null ? "" : [...names].sort().join());

/** Of an `Authorization` header; null: there is none of this kind. */
export function bearerOf(header: string | undefined): string | null {
  return /^Bearer +(\S+)$/i.exec(header ?? "")?.[1] ?? null;
}
