/**
 * `GET /openapi.json`: the HTTP API for machines, from the same schemas that read requests and that tests hold answers
 * against. Whoever adds a route adds it here: a test compares this with what the server has.
 */
import * as schemas from "@eddy/schemas";
import { REQUEST_CODES, RETRY_AFTER_S, type RequestErrorCode } from "@eddy/clients";
import { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponsesObject } from "zod-openapi";
import type { Scope } from "../access/index.js";
import { GENERATED_IDS_HEADER } from "./read-events.js";

/** Of the API, not of the engine: grows when something is added. */
const API_VERSION = "1.0.0";

/** What every route may answer that is asked for something. */
const ALWAYS = [
  "BAD_REQUEST",
  "REQUEST_TIMEOUT",
  "HEADERS_TOO_LARGE",
  "INTERNAL",
] as const satisfies readonly RequestErrorCode[];
/** And every route that needs the log. */
const LOG = [...ALWAYS, "UNAVAILABLE"] as const satisfies readonly RequestErrorCode[];
/** And every route that asks for a token, where the engine does. */
const GUARDED = ["UNAUTHENTICATED", "FORBIDDEN", "TOO_MANY_REQUESTS"] as const satisfies readonly RequestErrorCode[];
const BODY = [
  "INVALID_JSON",
  "EMPTY_REQUEST",
  "REQUEST_TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
] as const satisfies readonly RequestErrorCode[];

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** What a token must allow, where the engine asks for tokens; null: open to everybody. */
  readonly scope: Scope | null;
  readonly tag: "Events" | "Runs" | "Functions" | "Clock" | "Process";
  /** By status. */
  readonly answers: Readonly<Record<number, { readonly description: string; readonly schema: z.ZodType | "text" }>>;
  readonly errors: readonly RequestErrorCode[];
  readonly path?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  readonly body?: z.ZodType;
}

const pathId = (description: string) => z.object({ id: z.string().meta({ description }) });
const RUN_ID = pathId("The run's id.");
const EVENT_ID = pathId("The event's id, URL-encoded.");
const ok = (description: string, schema: z.ZodType | "text") => ({ 200: { description, schema } });
const DONE_TEXT =
  "Runs and events are kept for 7 days after they ended, contents of events for 3. Answers have all that was logged " +
  "before the request: a run that has ended is never shown as Running afterwards. While a partition is being taken " +
  "over, the answer is 503 and not a part of the truth.";

const EVENT_ROUTES = {
  "/e/{key}": {
    post: {
      operationId: "sendEvents",
      scope: "send",
      summary: "Send one event, or several",
      description: "Answers when the log has all of them. To send an event with the same `id` again has no effect.",
      tag: "Events",
      path: z.object({ key: z.string().max(256).meta({ description: "Of the sender: any text.", example: "dev" }) }),
      headers: z.object({
        [GENERATED_IDS_HEADER]: z
          .string()
          .optional()
          .meta({ description: "Which ids a machine made: `all`, or a JSON array of indexes." }),
      }),
      body: schemas.sendEventsBody,
      answers: ok("They are in the log.", schemas.sendEventsReply),
      errors: [
        ...BODY,
        "INVALID_EVENT",
        "TOO_MANY_EVENTS",
        "INVALID_EVENT_KEY",
        "INVALID_HEADER",
        "EVENT_TOO_LARGE",
        ...LOG,
      ],
    },
  },
  "/v1/events/{id}": {
    get: {
      operationId: "getEvent",
      scope: "read",
      summary: "An event as it was received, and the runs it started",
      description: `Of several events with one id, the first that is still there. ${DONE_TEXT}`,
      tag: "Events",
      path: EVENT_ID,
      answers: ok("The event.", schemas.eventReply),
      errors: ["EVENT_NOT_FOUND", ...LOG],
    },
  },
  "/v1/events/{id}/runs": {
    get: {
      operationId: "listRunsOfEvent",
      scope: "read",
      summary: "The runs that an event started, by their start",
      tag: "Events",
      path: EVENT_ID,
      answers: ok("Empty for an id that started nothing.", schemas.eventRunsReply),
      errors: LOG,
    },
  },
} as const satisfies Record<string, Record<string, Operation>>;

const RUN_ROUTES = {
  "/v1/runs": {
    get: {
      operationId: "listRuns",
      scope: "read",
      summary: "Runs, the newest start first",
      description:
        "Go on with `next_cursor` until it is null: that neither repeats nor leaves out a run, whatever starts and " +
        `ends meanwhile. A page may hold fewer runs than asked for, even none. ${DONE_TEXT}`,
      tag: "Runs",
      query: schemas.runsQuery,
      answers: ok("A page.", schemas.runsReply),
      errors: ["INVALID_QUERY", ...LOG],
    },
  },
  "/v1/runs/{id}": {
    get: {
      operationId: "getRun",
      scope: "read",
      summary: "One run",
      description: DONE_TEXT,
      tag: "Runs",
      path: RUN_ID,
      answers: ok("The run.", schemas.runReply),
      errors: ["RUN_NOT_FOUND", ...LOG],
    },
    delete: {
      operationId: "cancelRun",
      scope: "operate",
      summary: "Cancel a run",
      description: "To cancel a run that is Cancelled already has no effect, and is no error.",
      tag: "Runs",
      path: RUN_ID,
      query: schemas.cancelQuery,
      answers: {
        200: { description: "It is Cancelled.", schema: schemas.runReply },
        202: { description: "It will be: the request is in the log, and not applied yet.", schema: schemas.runReply },
      },
      errors: ["INVALID_QUERY", "RUN_NOT_FOUND", "RUN_FINISHED", ...LOG],
    },
  },
  "/v1/runs/{id}/timeline": {
    get: {
      operationId: "getTimeline",
      scope: "read",
      summary: "What happened to a run, in order",
      tag: "Runs",
      path: RUN_ID,
      answers: ok("Its lines.", schemas.timelineReply),
      errors: ["RUN_NOT_FOUND", ...LOG],
    },
  },
} as const satisfies Record<string, Record<string, Operation>>;

const OTHER_ROUTES = {
  "/v1/functions": {
    get: {
      operationId: "listFunctions",
      scope: "read",
      summary: "Registered functions",
      tag: "Functions",
      query: z.strictObject({}),
      answers: ok("By app and id.", schemas.functionsReply),
      errors: ["INVALID_QUERY", ...LOG],
    },
  },
  "/dev/clock": {
    get: {
      operationId: "getClock",
      scope: "read",
      summary: "The clock of a dev namespace",
      tag: "Clock",
      answers: ok("Stream time.", schemas.clockReply),
      errors: ["NOT_A_DEV_NAMESPACE", ...LOG],
    },
  },
  "/dev/clock/advance": {
    post: {
      operationId: "advanceClock",
      scope: "operate",
      summary: "Move the clock of a dev namespace",
      description: "Answers when every partition has applied it. Not to be repeated blindly: each advance counts.",
      tag: "Clock",
      body: schemas.advanceClockBody,
      answers: ok("Stream time after it.", schemas.clockReply),
      errors: [...BODY, "INVALID_BODY", "INVALID_DURATION", "NOT_A_DEV_NAMESPACE", ...LOG],
    },
  },
  "/health/live": {
    get: {
      operationId: "isLive",
      scope: null,
      summary: "Does this process answer?",
      tag: "Process",
      answers: ok("It does.", z.strictObject({ status: z.literal("live") })),
      errors: ALWAYS,
    },
  },
  "/health/ready": {
    get: {
      operationId: "isReady",
      scope: null,
      summary: "Does this process do its work?",
      tag: "Process",
      answers: {
        200: { description: "It does.", schema: schemas.healthReply },
        503: { description: "It does not, or not yet: `reasons` say why.", schema: schemas.healthReply },
      },
      errors: ALWAYS,
    },
  },
  "/metrics": {
    get: {
      operationId: "getMetrics",
      scope: "read",
      summary: "Figures of this process, for Prometheus",
      description: "Open without a token, unless the engine is configured with `metricsAccess: token`.",
      tag: "Process",
      answers: ok("In the text format of Prometheus.", "text"),
      errors: ALWAYS,
    },
  },
  "/openapi.json": {
    get: {
      operationId: "getOpenApi",
      scope: null,
      summary: "This document",
      tag: "Process",
      answers: ok("OpenAPI 3.1.", z.looseObject({ openapi: z.string() })),
      errors: ALWAYS,
    },
  },
  "/": {
    get: {
      operationId: "getAbout",
      scope: null,
      summary: "The API in a few lines, for people",
      tag: "Process",
      answers: ok("Text.", "text"),
      errors: ALWAYS,
    },
  },
} as const satisfies Record<string, Record<string, Operation>>;

const ROUTES: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
  ...EVENT_ROUTES,
  ...RUN_ROUTES,
  ...OTHER_ROUTES,
};

/** Named in the document, and referred to. */
const COMPONENTS = {
  Run: schemas.runSummary,
  RunStatus: schemas.runStatus,
  Event: schemas.eventView,
  EventInput: schemas.eventInput,
  Function: schemas.functionView,
  TimelineLine: schemas.timelineLine,
  Error: schemas.errorReply,
};

const TOKEN = {
  type: "http",
  scheme: "bearer",
  description:
    "Of the engine's tokens file; `eddy token create` makes one. An engine that listens on loopback alone may ask " +
    "for none. `POST /e/{key}` takes a token with the scope `send` as its key, too.",
} as const;

/** By `GET /v1/runs/:id`, as servers write it: what a token must allow; null: open. */
export function routeScopes(): ReadonlyMap<string, Scope | null> {
  const routes = Object.entries(ROUTES).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { scope }]): [string, Scope | null] => {
      return [`${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`, scope];
    }),
  );
  return new Map(routes);
}

/** The same at each call. */
export function openApiDocument(): object {
  const paths = Object.fromEntries(
    Object.entries(ROUTES).map(([path, operations]) => [
      path,
      Object.fromEntries(Object.entries(operations).map(([method, operation]) => [method, operationOf(operation)])),
    ]),
  );
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: "Eddy",
      version: API_VERSION,
      description:
        "Durable functions that wait for events. Every error has the same shape: branch on `error.code`. A 503 is to " +
        "be tried again after the seconds that its Retry-After says.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [],
    paths,
    components: { schemas: COMPONENTS, securitySchemes: { token: TOKEN } },
  });
}

function operationOf({ tag, scope, answers, errors, path, query, headers, body, ...said }: Operation) {
  const params = { ...(path && { path }), ...(query && { query }), ...(headers && { header: headers }) };
  const operation: ZodOpenApiOperationObject = {
    ...said,
    tags: [tag],
    ...(scope !== null && { security: [{ token: [scope] }] }),
    requestParams: params,
    ...(body && { requestBody: { required: true, content: { "application/json": { schema: body } } } }),
    responses: { ...errorsOf(scope === null ? errors : [...errors, ...GUARDED]), ...answersOf(answers) },
  };
  return operation;
}

function answersOf(answers: Operation["answers"]): ZodOpenApiResponsesObject {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { description, schema }]) => {
      const content = schema === "text" ? { "text/plain": { schema: z.string() } } : { "application/json": { schema } };
      return [status, { description, ...(status === "503" && { headers: RETRY_AFTER }), content }];
    }),
  );
}

const RETRY_AFTER = {
  "Retry-After": {
    description: "Seconds to wait before the next try.",
    schema: { type: "integer" as const, examples: [RETRY_AFTER_S] },
  },
};

/** One answer per status: its codes and what they mean. */
function errorsOf(codes: readonly RequestErrorCode[]): ZodOpenApiResponsesObject {
  const byStatus = new Map<number, RequestErrorCode[]>();
  for (const code of codes) {
    const { status } = REQUEST_CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => [
      String(status),
      {
        description: ofStatus.map((code) => `\`${code}\`: ${REQUEST_CODES[code].summary}`).join("\n\n"),
        ...((status === 503 || status === 429) && { headers: RETRY_AFTER }),
        content: { "application/json": { schema: schemas.errorReply } },
      },
    ]),
  );
}
