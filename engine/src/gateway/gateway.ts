/** The HTTP server of an engine: API, health, and the socket for workers. */
import type { AddressInfo } from "node:net";
import { createSecureContext, type Server as TlsServer } from "node:tls";
import { fastify, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { LIMITS } from "@eddy/schemas";
import type { Clock, Logger, WorkerGate } from "@eddy/clients";
import { AddressError, ConfigError, invariant } from "@eddy/clients/errors";
import type { Access, WatchedFiles } from "../access/index.js";
import { ConnectSocket } from "./connect-socket.js";
import { limitConnections, type ConnectionLimits } from "./connection-limits.js";
import { Guard } from "./guard.js";
import { answerClientError, handleError, installErrorHandlers } from "./http-errors.js";
import { installRoutes, type HttpRoutesDeps } from "./http-routes.js";

export interface GatewayDeps extends HttpRoutesDeps {
  /** null until workers can be taken in. */
  readonly gate: () => WorkerGate | null;
  readonly logger: Logger;
  readonly access: Access;
  readonly limits: GatewayLimits;
  /** May anybody read the figures? */
  readonly isMetricsOpen: boolean;
  /** null: plain HTTP. */
  readonly certificate: Certificate | null;
  readonly arrival?: Arrival;
}

export interface GatewayLimits extends ConnectionLimits {
  /** Of one token, or of one address without; 0: as many as come. */
  readonly requestsPerSecondMax: number;
}

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Arrival {
  readonly headersMsMax: number;
  readonly requestMsMax: number;
  readonly lookEveryMs: number;
}

/** Ids in paths, URL-encoded: three characters for a byte, up to four bytes for a character. */
const PATH_PARAM_CHARS_MAX = LIMITS.eventIdCharsMax * 12;

/**
 * A request that takes longer to arrive is cut off with 408, so that slow ones do not pile up; in ms. Node looks at both
 * or at neither, and only where the headers have less time than the whole.
 */
const ARRIVAL: Arrival = { headersMsMax: 10_000, requestMsMax: 30_000, lookEveryMs: 5_000 };
/**
 * A connection on which nothing passes for so many times `requestMsMax` is cut, without a word: whoever does not read that
 * it is over would stay for ever. Longer than any answer takes; sockets of workers have pings instead.
 */
const SILENT_PERIODS = 2;
/** How long answers under way may take when the gateway closes, in ms: longer than sends may; then all is cut. */
const CLOSE_MS_MAX = 12_000;
const TLS = { minVersion: "TLSv1.2", handshakeTimeout: 10_000 } as const;

/** @throws ConfigError unless the texts of the two files are a certificate and its key */
export function certificateOf([cert = "", key = ""]: readonly string[], paths: Certificate): Certificate {
  try {
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const files = `tls.cert (${paths.cert}) and tls.key (${paths.key})`;
    throw new ConfigError(`${files} are no certificate and its key: ${why}`, { ...paths }, { cause });
  }
}

/** @param tls its files, which are looked at while the gateway lives. @throws ConfigError */
export function makeGateway(
  deps: Omit<GatewayDeps, "certificate">,
  tls: Certificate | undefined,
  files: WatchedFiles,
): Gateway {
  let gateway: Gateway | null = null;
  if (tls === undefined) return new Gateway({ ...deps, certificate: null });
  files.watch([tls.cert, tls.key], (texts) => {
    const certificate = certificateOf(texts, tls);
    if (gateway === null) gateway = new Gateway({ ...deps, certificate });
    else gateway.setCertificate(certificate);
  });
  invariant(gateway !== null, "files are read at once");
  return gateway;
}

export class Gateway {
  readonly #server: FastifyInstance;
  readonly #socket: ConnectSocket;
  readonly #isSecure: boolean;
  readonly #clock: Clock;

  constructor(deps: GatewayDeps) {
    const { logger, certificate, limits, isMetricsOpen, access, meter } = deps;
    this.#isSecure = certificate !== null;
    this.#clock = deps.clock;
    this.#server = makeServer(deps);
    limitConnections(this.#server.server, limits, meter);
    const parseJson = this.#server.getDefaultJsonParser("error", "error");
    this.#server.removeAllContentTypeParsers();
    this.#server.addContentTypeParser("application/json", { parseAs: "string" }, parseJson);
    installErrorHandlers(this.#server, logger);
    const guard = new Guard({ access, meter, isMetricsOpen, requestsPerSecondMax: limits.requestsPerSecondMax });
    installRoutes(this.#server, { ...deps, guard });
    const appOfRun = async (runId: string): Promise<string | null> => {
      const run = await deps.service().lookup.runById(runId);
      return run?.function_id.split("/", 1)[0] ?? null;
    };
    this.#socket = new ConnectSocket({ ...deps, guard, appOfRun });
    this.#socket.install(this.#server.server);
  }

  /**
   * @param port 0 takes any free one. @returns the URL.
   * @throws AddressError where the address is taken or not of this machine; `fields.reason` has Node's code.
   */
  async listen({ host, port }: { readonly host: string; readonly port: number }): Promise<string> {
    try {
      await this.#server.listen({ host, port });
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code;
      const why = LISTEN_ERRORS[reason ?? ""] ?? (cause instanceof Error ? cause.message : String(cause));
      throw new AddressError(`cannot listen on ${host}:${port}: ${why}`, { host, port, reason }, { cause });
    }
    const bound = this.#server.addresses()[0] as AddressInfo | undefined;
    const name = host.includes(":") ? `[${host}]` : host;
    return `${this.#isSecure ? "https" : "http"}://${name === "0.0.0.0" ? "127.0.0.1" : name}:${bound?.port ?? port}`;
  }

  /** New connections get it; those that are open stay. Only where there was one from the start. */
  setCertificate({ cert, key }: Certificate): void {
    (this.#server.server as unknown as TlsServer).setSecureContext({ ...TLS, cert, key });
  }

  /** Answers what is under way, takes nothing new, drops the workers' connections. Idempotent. */
  async close(): Promise<void> {
    await this.#socket.close();
    const closed = new AbortController();
    const late = this.#clock.sleep(CLOSE_MS_MAX, closed.signal).then(() => {
      if (!closed.signal.aborted) this.#server.server.closeAllConnections();
    });
    late.catch(() => undefined); // closed in time
    await this.#server.close();
    closed.abort();
  }
}

function makeServer({ logger, certificate, arrival = ARRIVAL }: GatewayDeps): FastifyInstance {
  const options = {
    logger: false,
    bodyLimit: LIMITS.requestBytesMax,
    requestTimeout: arrival.requestMsMax,
    connectionTimeout: arrival.requestMsMax * SILENT_PERIODS,
    clientErrorHandler: answerClientError,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: PATH_PARAM_CHARS_MAX },
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
      void handleError(logger, error, request, reply),
  } as const;
  const http = { headersTimeout: arrival.headersMsMax, connectionsCheckingInterval: arrival.lookEveryMs };
  if (certificate === null) return fastify({ ...options, http });
  // One type for both: nothing here needs to know which it is, but `setCertificate`.
  return fastify({ ...options, https: { ...http, ...TLS, ...certificate } });
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use; choose another with --port, or stop what uses it",
  EADDRNOTAVAIL: "this machine does not have that address",
  EACCES: "no permission for this port; choose one above 1023",
};
