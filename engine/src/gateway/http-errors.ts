/** One place where errors become answers. Nothing is logged but what is our fault, and no stack trace leaves. */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { LIMITS } from "@eddy/schemas";
import { ClosedError, TransientError } from "@eddy/clients/errors";
import { type Logger, RequestError, RETRY_AFTER_S } from "@eddy/clients";

/** What fastify's own errors mean to a client, by their code. */
const FRAMEWORK_ERRORS: Readonly<Record<string, () => RequestError>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: unsupportedMediaType,
  FST_ERR_CTP_EMPTY_TYPE: unsupportedMediaType,
  FST_ERR_CTP_BODY_TOO_LARGE: () =>
    new RequestError("REQUEST_TOO_LARGE", `expected a body of at most ${LIMITS.requestBytesMax} bytes`),
  FST_ERR_CTP_EMPTY_JSON_BODY: () => new RequestError("EMPTY_REQUEST", "expected a JSON body, got none"),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new RequestError("BAD_REQUEST", "the body is not as long as Content-Length says"),
  FST_ERR_BAD_URL: () => new RequestError("BAD_REQUEST", "the path cannot be decoded"),
};

function unsupportedMediaType(): RequestError {
  return new RequestError("UNSUPPORTED_MEDIA_TYPE", "expected Content-Type: application/json", "content-type");
}

export function requestErrorOf(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof TransientError) return new RequestError("UNAVAILABLE", error.message, null, { cause: error });
  if (error instanceof ClosedError) {
    return new RequestError("UNAVAILABLE", "the engine is closing", null, { cause: error });
  }
  const { code, statusCode } = error as Partial<FastifyError>;
  const known = code === undefined ? undefined : FRAMEWORK_ERRORS[code];
  if (known !== undefined) return known();
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const isJson = error instanceof SyntaxError || code === "FST_ERR_CTP_INVALID_JSON_BODY";
    const { message } = error as Error;
    return new RequestError(isJson ? "INVALID_JSON" : "BAD_REQUEST", message, null, { cause: error });
  }
  return new RequestError("INTERNAL", "something went wrong inside Eddy; its log says more", null, { cause: error });
}

export function answerError(reply: FastifyReply, error: RequestError): FastifyReply {
  if (error.status === 503 || error.status === 429) void reply.header("retry-after", String(RETRY_AFTER_S));
  if (error.status === 401) void reply.header("www-authenticate", "Bearer");
  return reply.code(error.status).send(error.toReply());
}

export function installErrorHandlers(server: FastifyInstance, logger: Logger): void {
  server.setErrorHandler((error, request, reply) => handleError(logger, error, request, reply));
  server.setNotFoundHandler((request, reply) =>
    answerError(reply, new RequestError("NOT_FOUND", `there is no ${request.method} ${pathOf(request)}; see GET /`)),
  );
}

export function handleError(
  logger: Logger,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const answer = requestErrorOf(error);
  if (answer.code === "INTERNAL") {
    logger.error({ err: error, method: request.method, path: pathOf(request) }, "a request failed");
  } else if (answer.status >= 500 && !(error instanceof RequestError)) {
    logger.warn({ err: error, method: request.method, path: pathOf(request) }, "a request could not be served");
  }
  return answerError(reply, answer);
}

/** What Node's parser says of bytes that are no request, or of one that does not end. */
const CLIENT_ERRORS: Readonly<Record<string, () => RequestError>> = {
  HPE_HEADER_OVERFLOW: () => new RequestError("HEADERS_TOO_LARGE", "expected path and headers of at most 16 KiB"),
  ERR_HTTP_REQUEST_TIMEOUT: () => new RequestError("REQUEST_TIMEOUT", "the request did not arrive in time"),
};

/** Answers where there is no request to reply to, and closes the connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const known = CLIENT_ERRORS[error.code ?? ""];
  const answer = known?.() ?? new RequestError("BAD_REQUEST", "this is not an HTTP request that can be read");
  const body = JSON.stringify(answer.toReply());
  const status = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ""}`;
  const head = ["content-type: application/json; charset=utf-8", `content-length: ${Buffer.byteLength(body)}`];
  socket.end([status, ...head, "connection: close", "", body].join("\r\n"));
}

/** For logs and answers: event keys are secrets. */
const pathOf = ({ url }: FastifyRequest): string => (url.split("?", 1)[0] ?? url).replace(/^\/e\/.*/, "/e/:key");
