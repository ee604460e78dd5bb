/**
 * The gateway's door: every route has a scope, and a route without one is refused when it is made, not when somebody
 * finds it. Requests are counted by token, or by address where there is none that is known, so that nobody can use up
 * what others need.
 */
import type { Socket } from "node:net";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { type Meter, RequestError } from "@eddy/clients";
import { invariant } from "@eddy/clients/errors";
import { bearerOf, EVERYBODY, type Access, type Grant, type Scope } from "../access/index.js";
import { routeScopes } from "./openapi.js";
import { FORWARDED_HEADER, READINGS_PATH, WORKERS_PATH } from "./peers.js";

export interface GuardDeps {
  readonly access: Access;
  readonly meter: Meter;
  /** Of one token, or of one address without; 0: as many as come. */
  readonly requestsPerSecondMax: number;
  /** May anybody read the figures? */
  readonly isMetricsOpen: boolean;
}

export interface Visit {
  readonly scope: Scope;
  /** What may be a token, in the order in which it is tried. */
  readonly tokens: readonly (string | null)[];
  readonly address: string;
}

const METRICS_ROUTE = "GET /metrics";

export class Guard {
  readonly #deps: GuardDeps;
  readonly #limiter: RateLimiterMemory | null;
  readonly #scopes: ReadonlyMap<string, Scope | null>;

  constructor(deps: GuardDeps) {
    this.#deps = deps;
    const points = deps.requestsPerSecondMax;
    this.#limiter = points === 0 ? null : new RateLimiterMemory({ points, duration: 1 });
    const open: readonly [string, null][] = deps.isMetricsOpen ? [[METRICS_ROUTE, null]] : [];
    const ofEngines = [READINGS_PATH, WORKERS_PATH].map((path): [string, Scope] => [`GET ${path}`, "peer"]);
    this.#scopes = new Map([...routeScopes(), ...ofEngines, ...open]);
  }

  /** Before all routes: it has to see them made. */
  install(server: FastifyInstance): void {
    server.addHook("onRoute", ({ method, url }) => {
      for (const each of [method].flat()) void this.#scopeOf(each, url);
    });
    server.addHook("onRequest", async (request) => {
      const { url } = request.routeOptions;
      const scope = url === undefined ? null : this.#scopeOf(request.method, url);
      if (scope === null) return; // open, or nothing is there
      const isForwarded = request.headers[FORWARDED_HEADER] !== undefined;
      const tokens = [bearerOf(request.headers.authorization), scope === "send" ? keyOf(request) : null];
      const address = addressOf(request.raw.socket);
      await this.admit({ scope: isForwarded ? "peer" : scope, tokens, address });
    });
  }

  /** @throws RequestError UNAUTHENTICATED, FORBIDDEN, TOO_MANY_REQUESTS */
  async admit({ scope, tokens, address }: Visit): Promise<Grant> {
    const { access, meter } = this.#deps;
    try {
      const grant = access.check(scope, tokens);
      await this.#count(grant === EVERYBODY ? `address ${address}` : `token ${grant.name}`);
      return grant;
    } catch (error) {
      invariant(error instanceof RequestError, "access says no by a RequestError", { error });
      meter.count("eddy_requests_refused_total", 1, { code: error.code });
      if (error.code !== "TOO_MANY_REQUESTS") await this.#count(`address ${address}`);
      throw error;
    }
  }

  /** @throws RequestError TOO_MANY_REQUESTS */
  async #count(key: string): Promise<void> {
    try {
      await this.#limiter?.consume(key);
    } catch (cause) {
      if (!(cause instanceof RateLimiterRes)) throw cause;
      const max = this.#deps.requestsPerSecondMax;
      throw new RequestError("TOO_MANY_REQUESTS", `expected at most ${max} requests in a second; try again`);
    }
  }

  #scopeOf(method: string, url: string): Scope | null {
    const scope = this.#scopes.get(`${method === "HEAD" ? "GET" : method} ${url}`);
    invariant(scope !== undefined, "every route says in gateway/openapi.ts who may use it", { method, url });
    return scope;
  }
}

/** As in Inngest, the event key is a part of the path. */
function keyOf({ params }: FastifyRequest): string | null {
  return (params as Readonly<Record<string, string>>)["key"] ?? null;
}

export const addressOf = ({ remoteAddress }: Pick<Socket, "remoteAddress">): string => remoteAddress ?? "unknown";
