/**
 * Tokens for SASL OAUTHBEARER, by the client credentials grant of OAuth 2 (RFC 6749, 4.4). A token is used until most of
 * its time is over; brokers that let sessions end with it close the connection, and the next one brings a new token.
 */
import type { Clock } from "../ports/clock.js";

export interface OAuthClient {
  /** Where tokens are asked for; https but on a network of one's own. */
  readonly tokenEndpoint: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope?: string | undefined;
}

export interface OAuthTokenDeps {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
}

/** A request that takes longer is given up, in ms. */
const ANSWER_MS_MAX = 5_000;
/** Of a token's time: after this part of it a new one is asked for. */
const USED_FOR = 0.8;
/** Of a token that does not say how long it is good for, in seconds. */
const LIFE_SECONDS = 60;

/** No token at present; never leaves the adapter. */
export class TokenUnavailableError extends Error {
  override readonly name = "TokenUnavailableError";
}
/** The endpoint refuses this client; never leaves the adapter. */
export class TokenRefusedError extends Error {
  override readonly name = "TokenRefusedError";
}

interface Token {
  readonly value: string;
  readonly useUntilMs: number;
}

/** @returns as kafkajs wants it: called for each connection. @throws TokenUnavailableError, TokenRefusedError */
export function oauthTokens(client: OAuthClient, deps: OAuthTokenDeps): () => Promise<{ readonly value: string }> {
  let token: Token | null = null;
  let asking: Promise<Token> | null = null;
  return async () => {
    if (token !== null && deps.clock.nowMs() < token.useUntilMs) return { value: token.value };
    // Connections to all brokers begin at once: they share one token.
    asking ??= ask(client, deps).finally(() => (asking = null));
    token = await asking;
    return { value: token.value };
  };
}

async function ask(client: OAuthClient, { fetch, clock }: OAuthTokenDeps): Promise<Token> {
  const { tokenEndpoint, clientId, clientSecret, scope } = client;
  const credentials = [clientId, clientSecret].map(encodeURIComponent).join(":");
  const sinceMs = clock.nowMs();
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(tokenEndpoint, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(credentials).toString("base64")}`, accept: "application/json" },
      body: new URLSearchParams({ grant_type: "client_credentials", ...(scope === undefined ? {} : { scope }) }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    body = await response.json().catch(() => null);
  } catch (cause) {
    throw new TokenUnavailableError(`no token from ${tokenEndpoint}: ${textOf(cause)}`, { cause });
  }
  const { status } = response;
  // Without what it answered: it may have secrets in it.
  const where = `the token endpoint ${tokenEndpoint} answered ${status}`;
  if (status >= 500 || status === 429) throw new TokenUnavailableError(where);
  if (!response.ok) throw new TokenRefusedError(`${where}: check clientId, clientSecret and scope`);
  const { access_token: value, expires_in: seconds } = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof value !== "string" || value === "") throw new TokenRefusedError(`${where}, but no access_token`);
  // Some write the number as text.
  const lifeSeconds = Number(seconds) > 0 ? Number(seconds) : LIFE_SECONDS;
  return { value, useUntilMs: sinceMs + lifeSeconds * 1_000 * USED_FOR };
}

function textOf(error: unknown): string {
  const { cause, message } = error as { readonly cause?: { readonly code?: string }; readonly message: string };
  return cause?.code ?? message;
}
