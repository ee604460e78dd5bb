/** The HTTP API. Bodies are as `schemas/src/http.ts` says. */
import type { FastifyInstance } from "fastify";
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
import type { HistoryLookup } from "../history/history-lookup.js";
import type { DevClock } from "./dev-clock.js";
import { fieldPath, GENERATED_IDS_HEADER, readEvents, readGeneratedIds } from "./read-events.js";
import { type EventSender, RequestError, RETRY_AFTER_S } from "@eddy/clients";

/** Is this process able to do its work? `reasons` say why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export interface HttpRoutesDeps {
  readonly sender: EventSender;
  readonly lookup: HistoryLookup;
  readonly devClock: DevClock;
  readonly readiness: () => Readiness;
}

const EVENT_KEY_CHARS_MAX = 256;

const ABOUT = `This is Eddy: durable functions that wait for events.

  POST /e/dev                   send one event, or an array of them (application/json)
  GET  /v1/events/<id>/runs     the runs that an event started
  GET  /v1/runs/<id>            one run
  GET  /v1/runs/<id>/timeline   what happened to it
  POST /dev/clock/advance       {"by":"24h"} moves the clock
  GET  /dev/clock               the clock
  GET  /health/live             does this process answer?
  GET  /health/ready            does it do its work?
  ws   /v1/connect              workers
`;

export function installRoutes(server: FastifyInstance, deps: HttpRoutesDeps): void {
  server.get("/", (_, reply) => reply.type("text/plain; charset=utf-8").send(ABOUT));
  installSend(server, deps);
  installLookups(server, deps);
  installDevClock(server, deps);
  server.get("/health/live", () => ({ status: "live" }));
  server.get("/health/ready", (_, reply) => {
    const { ready, reasons } = deps.readiness();
    if (!ready) void reply.code(503).header("retry-after", String(RETRY_AFTER_S));
    return reply.send({ status: ready ? "ready" : "not ready", reasons });
  });
}

function installSend(server: FastifyInstance, { sender }: HttpRoutesDeps): void {
  server.post<{ Params: { key: string } }>("/e/:key", async (request): Promise<SendEventsReply> => {
    if (request.params.key.length > EVENT_KEY_CHARS_MAX) {
      throw new RequestError("INVALID_EVENT_KEY", `expected an event key of at most ${EVENT_KEY_CHARS_MAX} characters`);
    }
    const events = readEvents(request.body);
    const generated = readGeneratedIds(request.headers[GENERATED_IDS_HEADER], events.length);
    const ids = await sender.send(events, generated);
    return { ids: [...ids], status: 200 };
  });
}

function installLookups(server: FastifyInstance, { lookup }: HttpRoutesDeps): void {
  server.get<{ Params: { id: string } }>(
    "/v1/events/:id/runs",
    async (request): Promise<z.infer<typeof eventRunsReply>> => {
      const { id } = request.params;
      if (id.length > LIMITS.eventIdCharsMax) return { data: [] };
      return { data: [...(await lookup.runsOfEvent(id))] };
    },
  );
  server.get<{ Params: { id: string } }>("/v1/runs/:id", async (request): Promise<z.infer<typeof runReply>> => {
    const run = await lookup.runById(request.params.id);
    if (run === null) throw new RequestError("RUN_NOT_FOUND", `there is no run ${request.params.id}`, "id");
    return { data: run };
  });
  server.get<{ Params: { id: string } }>(
    "/v1/runs/:id/timeline",
    async (request): Promise<z.infer<typeof timelineReply>> => {
      const data = await lookup.timeline(request.params.id);
      if (data.length === 0) throw new RequestError("RUN_NOT_FOUND", `there is no run ${request.params.id}`, "id");
      return { data: [...data] };
    },
  );
}

function installDevClock(server: FastifyInstance, { devClock }: HttpRoutesDeps): void {
  server.get("/dev/clock", (): ClockReply => devClock.now());
  server.post("/dev/clock/advance", (request): Promise<ClockReply> => {
    const parsed = advanceClockBody.safeParse(request.body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      const path = fieldPath(issue?.path ?? []);
      const message = `expected {"by":"24h"}: ${issue?.message ?? "not that"}`;
      throw new RequestError("INVALID_BODY", message, path === "" ? null : path);
    }
    return devClock.advance(durationOf(parsed.data.by));
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
