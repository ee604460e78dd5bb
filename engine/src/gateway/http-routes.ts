/** The HTTP API. Bodies are as `schemas/src/http.ts` says. */
import type { FastifyInstance } from "fastify";
import { advanceClockBody, parseDuration, type ClockReply, type SendEventsReply } from "@eddy/schemas";
import type { z } from "zod";
import type { Guard } from "./guard.js";
import type { DevClock } from "./dev-clock.js";
import type { PartitionClocks } from "./partition-clocks.js";
import { isForwarded, type Forwarding } from "./forwarded.js";
import { installLookups, type LookupService } from "./lookup-routes.js";
import { installMetrics, type MetricsPage } from "./metrics-routes.js";
import { openApiDocument } from "./openapi.js";
import { READINGS_PATH, WORKERS_PATH, type readingsReply, type workersReply } from "./peers.js";
import type { EventSchemas } from "../event-schemas/event-schemas.js";
import { fieldPath, GENERATED_IDS_HEADER, readEvents, readGeneratedIds } from "./read-events.js";
import { type Clock, type EventSender, type Meter, RequestError, RETRY_AFTER_S } from "@eddy/clients";

/** Is this process able to do its work? `reasons` say why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** What serves requests, once the log is there. */
export interface Service extends LookupService {
  readonly sender: EventSender;
  readonly devClock: DevClock;
  readonly clocks: PartitionClocks;
  /** null: there is no registry of schemas. */
  readonly eventSchemas: Pick<EventSchemas, "check"> | null;
}

export interface HttpRoutesDeps extends Forwarding {
  /** @throws RequestError UNAVAILABLE until then */
  readonly service: () => Service;
  readonly readiness: () => Readiness;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly metrics: MetricsPage;
}

export interface GuardedRoutesDeps extends HttpRoutesDeps {
  readonly guard: Pick<Guard, "install">;
}

const EVENT_KEY_CHARS_MAX = 256;
/** How long the log may take to acknowledge the events of a request, in ms; then the answer is 503. */
const SEND_MS_MAX = 10_000;

const ABOUT = `This is Eddy: durable functions that wait for events.

  POST   /e/<key>                 send one event, or an array of them (application/json)
  GET    /v1/events/<id>          an event as it was received, and what it started
  GET    /v1/events/<id>/runs     the runs that an event started
  GET    /v1/runs                 runs, newest first: ?function= &status= &event= &from= &until= &limit= &cursor=
  GET    /v1/runs/<id>            one run
  GET    /v1/runs/<id>/timeline   what happened to it
  DELETE /v1/runs/<id>            cancels it
  GET    /v1/functions            registered functions
  POST   /dev/clock/advance       {"by":"24h"} moves the clock of a dev namespace
  GET    /dev/clock               that clock
  GET    /health/live             does this process answer?
  GET    /health/ready            does it do its work?
  GET    /metrics                 figures, for Prometheus
  GET    /openapi.json            all of this for machines, with every answer
  ws     /v1/connect              workers

Where this engine asks for tokens: Authorization: Bearer <token>, or as the key of /e/<key>.
`;

export function installRoutes(server: FastifyInstance, deps: GuardedRoutesDeps): void {
  deps.guard.install(server);
  installMetrics(server, deps);
  const document = JSON.stringify(openApiDocument());
  server.get("/openapi.json", (_, reply) => reply.type("application/json; charset=utf-8").send(document));
  server.get("/", (_, reply) => reply.type("text/plain; charset=utf-8").send(ABOUT));
  installSend(server, deps);
  installLookups(server, deps);
  installDevClock(server, deps);
  installInternal(server, deps);
  server.get("/health/live", () => ({ status: "live" }));
  server.get("/health/ready", (_, reply) => {
    const { ready, reasons } = deps.readiness();
    if (!ready) void reply.code(503).header("retry-after", String(RETRY_AFTER_S));
    return reply.send({ status: ready ? "ready" : "not ready", reasons });
  });
}

function installSend(server: FastifyInstance, { service, clock }: HttpRoutesDeps): void {
  server.post<{ Params: { key: string } }>("/e/:key", async (request): Promise<SendEventsReply> => {
    if (request.params.key.length > EVENT_KEY_CHARS_MAX) {
      throw new RequestError("INVALID_EVENT_KEY", `expected an event key of at most ${EVENT_KEY_CHARS_MAX} characters`);
    }
    const events = readEvents(request.body);
    const generated = readGeneratedIds(request.headers[GENERATED_IDS_HEADER], events.length);
    const { sender, eventSchemas } = service();
    await eventSchemas?.check(events);
    const ids = await inTime(clock, sender.send(events, generated));
    return { ids: [...ids], status: 200 };
  });
}

/** @throws RequestError UNAVAILABLE where the log takes too long; what it throws itself */
async function inTime<T>(clock: Clock, sending: Promise<T>): Promise<T> {
  const settled = new AbortController();
  const late = clock.sleep(SEND_MS_MAX, settled.signal).then(() => {
    const outcome = "they may be stored all the same, and to send the same ids again is harmless";
    const message = `the log has not acknowledged the events within ${SEND_MS_MAX} ms; ${outcome}`;
    throw new RequestError("UNAVAILABLE", message);
  });
  late.catch(() => undefined); // where the log was in time
  try {
    return await Promise.race([sending, late]);
  } finally {
    settled.abort();
  }
}

/** For other engines. */
function installInternal(server: FastifyInstance, deps: HttpRoutesDeps): void {
  server.get(READINGS_PATH, (request): z.infer<typeof readingsReply> => {
    if (!isForwarded(deps, request)) throw new RequestError("NOT_FOUND", `${READINGS_PATH} is for engines alone`);
    return { data: [...deps.service().clocks.here()] };
  });
  server.get(WORKERS_PATH, (request): z.infer<typeof workersReply> => {
    if (!isForwarded(deps, request)) throw new RequestError("NOT_FOUND", `${WORKERS_PATH} is for engines alone`);
    return { data: [...deps.service().functions.workersHere()] };
  });
}

function installDevClock(server: FastifyInstance, { service }: HttpRoutesDeps): void {
  server.get("/dev/clock", (): Promise<ClockReply> => service().devClock.now());
  server.post("/dev/clock/advance", (request): Promise<ClockReply> => {
    const parsed = advanceClockBody.safeParse(request.body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      const path = fieldPath(issue?.path ?? []);
      const message = `expected {"by":"24h"}: ${issue?.message ?? "not that"}`;
      throw new RequestError("INVALID_BODY", message, path === "" ? null : path);
    }
    return service().devClock.advance(durationOf(parsed.data.by));
  });
}

/** @throws RequestError */
function durationOf(by: string | number): number {
  try {
    return parseDuration(by);
  } catch (cause) {
    throw new RequestError("INVALID_DURATION", cause instanceof Error ? cause.message : String(cause), "by", { cause });
  }
}
