/** The HTTP server of an engine: API, health, and the socket for workers. */
import type { AddressInfo } from "node:net";
import { fastify, type FastifyInstance } from "fastify";
import { LIMITS } from "@eddy/schemas";
import type { Logger, WorkerGate } from "@eddy/clients";
import { AddressError } from "@eddy/clients/errors";
import { ConnectSocket } from "./connect-socket.js";
import { answerClientError, handleError, installErrorHandlers } from "./http-errors.js";
import { installRoutes, type HttpRoutesDeps } from "./http-routes.js";

export interface GatewayDeps extends HttpRoutesDeps {
  /** null until workers can be taken in. */
  readonly gate: () => WorkerGate | null;
  readonly logger: Logger;
  readonly arrival?: Arrival;
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

export class Gateway {
  readonly #server: FastifyInstance;
  readonly #socket: ConnectSocket;

  constructor(deps: GatewayDeps) {
    const { logger, arrival = ARRIVAL } = deps;
    this.#server = fastify({
      logger: false,
      bodyLimit: LIMITS.requestBytesMax,
      requestTimeout: arrival.requestMsMax,
      http: { headersTimeout: arrival.headersMsMax, connectionsCheckingInterval: arrival.lookEveryMs },
      clientErrorHandler: answerClientError,
      forceCloseConnections: "idle",
      routerOptions: { maxParamLength: PATH_PARAM_CHARS_MAX },
      frameworkErrors: (error, request, reply) => void handleError(logger, error, request, reply),
    });
    const parseJson = this.#server.getDefaultJsonParser("error", "error");
    this.#server.removeAllContentTypeParsers();
    this.#server.addContentTypeParser("application/json", { parseAs: "string" }, parseJson);
    installErrorHandlers(this.#server, logger);
    installRoutes(this.#server, deps);
    this.#socket = new ConnectSocket(deps);
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
    return `http://${name === "0.0.0.0" ? "127.0.0.1" : name}:${bound?.port ?? port}`;
  }

  /** Answers what is under way, takes nothing new, drops the workers' connections. Idempotent. */
  async close(): Promise<void> {
    await this.#socket.close();
    await this.#server.close();
  }
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use; choose another with --port, or stop what uses it",
  EADDRNOTAVAIL: "this machine does not have that address",
  EACCES: "no permission for this port; choose one above 1023",
};
