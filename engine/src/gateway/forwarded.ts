/** Requests of other engines: answered by this one alone, or not at all. */
import type { FastifyRequest } from "fastify";
import { RequestError } from "@eddy/clients";
import { FORWARDED_HEADER, PARTITIONS_HEADER } from "./peers.js";

export interface Forwarding {
  readonly namespace: string;
}

/** @throws RequestError UNAVAILABLE where it is meant for an engine of another namespace */
export function isForwarded({ namespace }: Forwarding, { headers }: FastifyRequest): boolean {
  const meant = headers[FORWARDED_HEADER];
  if (meant === undefined) return false;
  if (meant === namespace) return true;
  throw new RequestError("UNAVAILABLE", `this engine is of namespace ${namespace}; try again`);
}

/** @throws RequestError */
export function partitionsOf({ headers }: FastifyRequest): readonly number[] {
  const given = headers[PARTITIONS_HEADER];
  if (typeof given === "string" && /^\d+(,\d+)*$/.test(given)) return given.split(",").map(Number);
  throw new RequestError("INVALID_HEADER", "expected numbers of partitions with commas between", PARTITIONS_HEADER);
}
