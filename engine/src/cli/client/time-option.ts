/** Points in time, as options have them. */
import type { ClockReply } from "@eddy/schemas";
import { parseDuration } from "@eddy/schemas";
import { EXIT } from "../exit-codes.js";
import { CommandError, usageError } from "./command-error.js";
import type { GatewayApi } from "./gateway-api.js";

/** ISO 8601, or ms since 1970. @returns ms. @throws CommandError that names the option */
export function timeOption(text: string, option: string): number {
  const ms = readTime(text);
  if (ms !== null) return ms;
  throw usageError(`${option}: expected ISO 8601 or ms since 1970, such as 2026-01-31T12:00:00Z, got ${quoted(text)}`);
}

/**
 * A point in time, or how long ago: `2h`. That is by the engine's clock where it can be moved, else by this machine's.
 * @returns ms. @throws CommandError that names the option
 */
export async function timeOrAgoOption(text: string, option: string, api: GatewayApi, nowMs: number): Promise<number> {
  const ms = readTime(text);
  if (ms !== null) return ms;
  const agoMs = readAgo(text);
  if (agoMs !== null) return Math.max(0, (await streamNowMs(api, nowMs)) - agoMs);
  const expected = "expected a time such as 2026-01-31T12:00:00Z, ms since 1970, or how long ago, such as 2h";
  throw usageError(`${option}: ${expected}; got ${quoted(text)}`);
}

async function streamNowMs(api: GatewayApi, nowMs: number): Promise<number> {
  try {
    return (await api.ask<ClockReply>("/dev/clock")).nowMs;
  } catch (error) {
    // Not a dev namespace: its clock is that of its brokers.
    if (error instanceof CommandError && error.exitCode === EXIT.refused) return nowMs;
    throw error;
  }
}

function readTime(text: string): number | null {
  if (/^\d+$/.test(text)) return Number(text);
  // Date.parse also takes what only it understands.
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

function readAgo(text: string): number | null {
  try {
    return parseDuration(text);
  } catch {
    return null; // The caller says what was expected.
  }
}

const quoted = (text: string): string => JSON.stringify(text);
