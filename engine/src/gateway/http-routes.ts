/** The HTTP API. Bodies are as `schemas/src/http.ts` says. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { eventRunsReply, runReply } from "@eddy/schemas";
import {
  advanceClockBody,
  LIMITS,
  parseDuration,
  type ClockReply,
  type SendEventsReply,
  type timelineReply,
} from "@eddy/schemas";
import type { z } from "zod";
import type { DevClock } from "./dev-clock.js";
import type { PartitionClocks } from "./partition-clocks.js";
import { FORWARDED_HEADER, PARTITIONS_HEADER, READINGS_PATH, type readingsReply } from "./peers.js";
import { fieldPath, GENERATED_IDS_HEADER, readEvents, readGeneratedIds } from "./read-events.js";
import type { RoutedLookup } from "./routed-lookup.js";
import { type Clock, type EventSender, RequestError, RETRY_AFTER_S } from "@eddy/clients";

/** Is this process able to do its work? `reasons` say why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** What serves requests, once the log is there. */
export interface Service {
  readonly sender: EventSender;
  readonly lookup: RoutedLookup;
  readonly devClock: DevClock;
  readonly clocks: PartitionClocks;
}

export interface HttpRoutesDeps {
  /** @throws RequestError UNAVAILABLE until then */
  readonly service: () => Service;
  readonly namespace: string;
  readonly readiness: () => Readiness;
  readonly clock: Clock;
}

const EVENT_KEY_CHARS_MAX = 256;
/** How long the log may take to acknowledge the events of a request, in ms; then the answer is 503. */
const SEND_MS_MAX = 10_000;

const ABOUT = `This is Eddy: durable functions that wait for events.

  POST /e/dev                   send one event, or an array of them (application/json)
  GET  /v1/events/<id>/runs     the runs that an event started
  GET  /v1/runs/<id>            one run
  GET  /v1/runs/<id>/timeline   what happened to it
  POST /dev/clock/advance       {"by":"24h"} moves the clock of a dev namespace
  GET  /dev/clock               that clock
  GET  /health/live             does this process answer?
  GET  /health/ready            does it do its work?
  ws   /v1/connect              workers
`;

export function installRoutes(server: FastifyInstance, deps: HttpRoutesDeps): void {
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
    const ids = await inTime(clock, service().sender.send(events, generated));
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

function installLookups(server: FastifyInstance, deps: HttpRoutesDeps): void {
  const { service } = deps;
  /** A request of another engine is answered from here alone. */
  const lookupFor = (request: FastifyRequest): Pick<RoutedLookup, "runById" | "timeline"> => {
    const { lookup } = service();
    return isForwarded(deps, request) ? lookup.here : lookup;
  };
  server.get<{ Params: { id: string } }>(
    "/v1/events/:id/runs",
    async (request): Promise<z.infer<typeof eventRunsReply>> => {
      const { id } = request.params;
      if (id.length > LIMITS.eventIdCharsMax) return { data: [] };
      const { lookup } = service();
      if (!isForwarded(deps, request)) return { data: [...(await lookup.runsOfEvent(id))] };
      return { data: [...(await lookup.here.runsOfEvent(id, partitionsOf(request)))] };
    },
  );
  server.get<{ Params: { id: string } }>("/v1/runs/:id", async (request): Promise<z.infer<typeof runReply>> => {
    const run = await lookupFor(request).runById(request.params.id);
    if (run === null) throw new RequestError("RUN_NOT_FOUND", `there is no run ${request.params.id}`, "id");
    return { data: run };
  });
  server.get<{ Params: { id: string } }>(
    "/v1/runs/:id/timeline",
    async (request): Promise<z.infer<typeof timelineReply>> => {
      const data = await lookupFor(request).timeline(request.params.id);
      if (data.length === 0) throw new RequestError("RUN_NOT_FOUND", `there is no run ${request.params.id}`, "id");
      return { data: [...data] };
    },
  );
}

/** @throws RequestError UNAVAILABLE where it is meant for an engine of another namespace */
function isForwarded({ namespace }: HttpRoutesDeps, { headers }: FastifyRequest): boolean {
  const meant = headers[FORWARDED_HEADER];
  if (meant === undefined) return false;
  if (meant === namespace) return true;
  throw new RequestError("UNAVAILABLE", `this engine is of namespace ${namespace}; try again`);
}

/** @throws RequestError */
function partitionsOf({ headers }: FastifyRequest): readonly number[] {
  const given = headers[PARTITIONS_HEADER];
  if (typeof given === "string" && /^\d+(,\d+)*$/.test(given)) return given.split(",").map(Number);
  throw new RequestError("INVALID_HEADER", "expected numbers of partitions with commas between", PARTITIONS_HEADER);
}

/** For other engines. */
function installInternal(server: FastifyInstance, deps: HttpRoutesDeps): void {
  server.get(READINGS_PATH, (request): z.infer<typeof readingsReply> => {
    if (!isForwarded(deps, request)) throw new RequestError("NOT_FOUND", `${READINGS_PATH} is for engines alone`);
    return { data: [...deps.service().clocks.here()] };
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
