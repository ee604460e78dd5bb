/** The part of the HTTP API that looks into what happened: events, runs, functions; and cancels runs. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import {
  LIMITS,
  type EventReply,
  type eventRunsReply,
  type FunctionsReply,
  type RunReply,
  type RunsReply,
  type timelineReply,
} from "@eddy/schemas";
import { RequestError } from "@eddy/clients";
import type { z } from "zod";
import { cursorOf } from "../history/run-pages.js";
import { isForwarded, partitionsOf, type Forwarding } from "./forwarded.js";
import { expectNoQuery, readCancelReason, readRunsQuery } from "./run-query.js";
import type { FunctionList } from "./function-list.js";
import type { RoutedLookup } from "./routed-lookup.js";
import type { RunCancel } from "./run-cancel.js";

export interface LookupService {
  readonly lookup: RoutedLookup;
  readonly cancel: RunCancel;
  readonly functions: FunctionList;
}

export interface LookupRoutesDeps extends Forwarding {
  /** @throws RequestError UNAVAILABLE until it can serve */
  readonly service: () => LookupService;
}

interface ById {
  readonly Params: { readonly id: string };
}

export function installLookups(server: FastifyInstance, deps: LookupRoutesDeps): void {
  installEvents(server, deps);
  installRuns(server, deps);
  server.delete<ById>("/v1/runs/:id", async (request, reply): Promise<RunReply> => {
    const run = await deps.service().cancel.cancel(request.params.id, readCancelReason(request.query));
    return answer(reply, run.status === "Running" ? 202 : 200, { data: run });
  });
  server.get("/v1/functions", async (request): Promise<FunctionsReply> => {
    expectNoQuery(request.query);
    return { data: [...(await deps.service().functions.all())] };
  });
}

function installEvents(server: FastifyInstance, deps: LookupRoutesDeps): void {
  server.get<ById>("/v1/events/:id", async (request): Promise<EventReply> => {
    const { id } = request.params;
    const { lookup } = deps.service();
    const isHere = isForwarded(deps, request);
    const find = () => (isHere ? lookup.here.event(id, partitionsOf(request)) : lookup.event(id));
    const event = id.length > LIMITS.eventIdCharsMax ? null : await find();
    if (event === null) throw new RequestError("EVENT_NOT_FOUND", `there is no event ${id.slice(0, SHOWN_MAX)}`, "id");
    return { data: event };
  });
  server.get<ById>("/v1/events/:id/runs", async (request): Promise<z.infer<typeof eventRunsReply>> => {
    const { id } = request.params;
    if (id.length > LIMITS.eventIdCharsMax) return { data: [] };
    const { lookup } = deps.service();
    if (!isForwarded(deps, request)) return { data: [...(await lookup.runsOfEvent(id))] };
    return { data: [...(await lookup.here.runsOfEvent(id, partitionsOf(request)))] };
  });
}

function installRuns(server: FastifyInstance, deps: LookupRoutesDeps): void {
  /** A request of another engine is answered from here alone. */
  const lookupFor = (request: FastifyRequest): Pick<RoutedLookup, "runById" | "timeline"> => {
    const { lookup } = deps.service();
    return isForwarded(deps, request) ? lookup.here : lookup;
  };
  server.get("/v1/runs", async (request): Promise<RunsReply> => {
    const query = readRunsQuery(request.query);
    const { lookup } = deps.service();
    const isHere = isForwarded(deps, request);
    const { runs, seenTo } = await (isHere ? lookup.here.runs(query, partitionsOf(request)) : lookup.runs(query));
    return { data: [...runs], next_cursor: seenTo === null ? null : cursorOf(seenTo) };
  });
  server.get<ById>("/v1/runs/:id", async (request): Promise<RunReply> => {
    const run = await lookupFor(request).runById(request.params.id);
    if (run === null) throw noRun(request.params.id);
    return { data: run };
  });
  server.get<ById>("/v1/runs/:id/timeline", async (request): Promise<z.infer<typeof timelineReply>> => {
    const data = await lookupFor(request).timeline(request.params.id);
    if (data.length === 0) throw noRun(request.params.id);
    return { data: [...data] };
  });
}

/** What is asked for may be long. */
const SHOWN_MAX = 100;
function noRun(id: string): RequestError {
  return new RequestError("RUN_NOT_FOUND", `there is no run ${id.slice(0, SHOWN_MAX)}`, "id");
}

function answer<T>(reply: FastifyReply, status: number, body: T): T {
  void reply.code(status);
  return body;
}
