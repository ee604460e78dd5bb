/**
 * Asks other engines what only they know. Whoever is asked answers by itself or not at all: the header says so, and
 * which namespace is meant, for an address may have gone to somebody else.
 */
import {
  errorReply,
  eventReply,
  eventRunsReply,
  runReply,
  runsReply,
  timelineReply,
  type EventView,
  type RunSummary,
  type TimelineLine,
} from "@eddy/schemas";
import { TransientError } from "@eddy/clients/errors";
import { z } from "zod";
import { placeOfCursor, type Page, type PageQuery } from "../history/run-pages.js";
import { searchOf } from "./run-query.js";

/** Of a request by another engine; its value is the namespace. */
export const FORWARDED_HEADER = "x-eddy-forwarded";
/** With a look-up over several partitions: those to look in, with commas between. */
export const PARTITIONS_HEADER = "x-eddy-partitions";
export const READINGS_PATH = "/internal/partitions";
export const WORKERS_PATH = "/internal/workers";

/** How far one partition is, at its owner. */
export const partitionReading = z.strictObject({
  partition: z.number().int().min(0),
  /** running: it has caught up, and its time goes on. */
  status: z.enum(["starting", "running", "failed"]),
  advanceMs: z.number(),
  processedOffset: z.number(),
});
export type PartitionReading = Readonly<z.infer<typeof partitionReading>>;
export const readingsReply = z.strictObject({ data: z.array(partitionReading) });

/** Workers that are connected to one engine, by app; an app that had some and has none now may be listed with 0. */
export const workersReply = z.strictObject({
  data: z.array(z.strictObject({ app: z.string(), workers: z.number().int().min(0) })),
});
export type ConnectedWorkers = z.infer<typeof workersReply>["data"];

/** How long another engine may take to answer, in ms. */
export const ANSWER_MS_MAX = 5_000;
/** What is not there is no trouble. */
const MISSING: ReadonlySet<string> = new Set(["RUN_NOT_FOUND", "EVENT_NOT_FOUND"]);

export class Peers {
  readonly #namespace: string;
  readonly #tokenNow: () => string | null;
  readonly #answerMsMax: number;

  /** @param tokenNow asked for each question, for it may be rotated; null: there is none */
  constructor(namespace: string, answerMsMax: number = ANSWER_MS_MAX, tokenNow: () => string | null = () => null) {
    this.#namespace = namespace;
    this.#tokenNow = tokenNow;
    this.#answerMsMax = answerMsMax;
  }

  /** @returns null: the owner has no such run. @throws TransientError for anything but an answer, in all of these. */
  async run(address: string, runId: string): Promise<RunSummary | null> {
    return (await this.#ask(address, `/v1/runs/${encodeURIComponent(runId)}`, runReply))?.data ?? null;
  }

  /** @returns empty: the owner has no such run. */
  async timeline(address: string, runId: string): Promise<readonly TimelineLine[]> {
    const path = `/v1/runs/${encodeURIComponent(runId)}/timeline`;
    return (await this.#ask(address, path, timelineReply))?.data ?? [];
  }

  /** Runs that the event started in these partitions, all of which are the peer's. */
  async runsOfEvent(address: string, eventId: string, partitions: readonly number[]): Promise<readonly RunSummary[]> {
    const path = `/v1/events/${encodeURIComponent(eventId)}/runs`;
    return (await this.#know(address, path, eventRunsReply, partitions)).data;
  }

  /** @returns null: nothing is known of it in these partitions, all of which are the peer's. */
  async event(address: string, eventId: string, partitions: readonly number[]): Promise<EventView | null> {
    const path = `/v1/events/${encodeURIComponent(eventId)}`;
    return (await this.#ask(address, path, eventReply, headersOf(partitions)))?.data ?? null;
  }

  /** A page of the runs in these partitions, all of which are the peer's. */
  async runs(address: string, query: PageQuery, partitions: readonly number[]): Promise<Page<RunSummary>> {
    const path = `/v1/runs?${searchOf(query)}`;
    const { data, next_cursor: next } = await this.#know(address, path, runsReply, partitions);
    const seenTo = next === null ? null : placeOfCursor(next);
    if (next === null || seenTo !== null) return { runs: data, seenTo };
    throw new TransientError(`the engine at ${address} gives a cursor that is none`, { address, path });
  }

  /** Of the peer's partitions. */
  async readings(address: string): Promise<readonly PartitionReading[]> {
    return (await this.#know(address, READINGS_PATH, readingsReply)).data;
  }

  /** Connected to the peer. */
  async workers(address: string): Promise<ConnectedWorkers> {
    return (await this.#know(address, WORKERS_PATH, workersReply)).data;
  }

  /** Of what no engine may say that it is not there. */
  async #know<T>(address: string, path: string, shape: z.ZodType<T>, partitions?: readonly number[]): Promise<T> {
    const reply = await this.#ask(address, path, shape, partitions === undefined ? {} : headersOf(partitions));
    if (reply === null) throw new TransientError(`${address} does not know the way to ${path}`, { address });
    return reply;
  }

  /** @returns null where the peer says that it has no such thing. */
  async #ask<T>(
    address: string,
    path: string,
    shape: z.ZodType<T>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T | null> {
    let status: number;
    let body: unknown;
    const token = this.#tokenNow();
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
    try {
      const reply = await fetch(address + path, {
        headers: { ...headers, ...authorization, [FORWARDED_HEADER]: this.#namespace },
        redirect: "error",
        signal: AbortSignal.timeout(this.#answerMsMax),
      });
      status = reply.status;
      body = await reply.json();
    } catch (cause) {
      const reason = reasonOf(cause);
      throw new TransientError(
        `the engine at ${address} did not answer (${reason}); try again`,
        { address },
        { cause },
      );
    }
    const parsed = status === 200 ? shape.safeParse(body) : null;
    if (parsed?.success === true) return parsed.data;
    const error = errorReply.safeParse(body);
    if (status === 404 && error.success && MISSING.has(error.data.error.code)) return null;
    const said = error.success ? error.data.error.message : `an answer of status ${status}`;
    throw new TransientError(`the engine at ${address} cannot tell: ${said}`, { address, path, status });
  }
}

const headersOf = (partitions: readonly number[]) => ({ [PARTITIONS_HEADER]: partitions.join(",") });

/** What is known of a failed fetch is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
