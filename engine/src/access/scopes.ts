/** What a token allows. */
export const SCOPES = ["send", "work", "read", "operate", "peer"] as const;
/**
 * send: events. work: connect workers. read: events, runs, functions, the clock. operate: cancel runs, move the clock.
 * peer: what engines ask each other.
 */
export type Scope = (typeof SCOPES)[number];

/** Who asks, as far as the tokens file tells. */
export interface Grant {
  /** Of the token; for logs and limits, never secret. */
  readonly name: string;
  /** Of the token, as the tokens file has it. */
  readonly hash: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Apps whose workers may connect with it; null: all. */
  readonly apps: ReadonlySet<string> | null;
}

/** Where no tokens are asked for: everybody may do everything. */
export const EVERYBODY: Grant = { name: "everybody", hash: "", scopes: new Set(SCOPES), apps: null };
