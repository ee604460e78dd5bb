/**
 * Frames between a worker and the gateway, over one WebSocket per app at `/v1/connect`. Each frame is one binary
 * message, `encodeFrame(frame)`. The worker opens with `hello`; the gateway answers `welcome` once the registration is
 * in force on every partition, or `refused` and closes.
 */
import { z } from "zod";
import { appConfig } from "./function-config.js";
import { runState, stepReport, stepRequest } from "./steps.js";

export const PROTOCOL_VERSION = 1;

const invocations = z.array(z.strictObject({ runId: z.string(), invocation: z.number().int().min(1) }));

/** Worker to gateway. */
export const workerFrame = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("hello"),
    protocol: z.number(),
    workerId: z.string().min(1).max(128),
    sdk: z.string().max(64),
    config: appConfig,
    /** Requests that this worker runs at once; the gateway never has more out to it. */
    slots: z.number().int().min(1).max(10_000),
    /**
     * This process was welcomed before and has lost its connection: its configuration comes into force only if the app
     * has none, for a newer version of the app may have registered meanwhile. Absent: false.
     */
    rejoin: z.boolean().optional(),
  }),
  /** `seq` counts a worker's reports; answered by `ack` once the log has the report. */
  z.strictObject({ kind: z.literal("report"), seq: z.number().int(), report: stepReport }),
  z.strictObject({ kind: z.literal("heartbeat"), running: invocations }),
  /** This invocation ended here without a reported outcome (aborted, superseded, refused): its slot is free. */
  z.strictObject({ kind: z.literal("released"), runId: z.string(), invocation: z.number().int().min(1) }),
  z.strictObject({ kind: z.literal("needState"), runId: z.string(), invocation: z.number().int().min(1) }),
  /** The worker is closing: send nothing more. What it has, it finishes. */
  z.strictObject({ kind: z.literal("drain") }),
  /**
   * The last frame of a worker that closes: nothing that comes after it is read. What it has is `running` alone: steps
   * that did not end in time. Any other request on its way to it goes to another worker at once.
   */
  z.strictObject({ kind: z.literal("leaving"), running: invocations }),
]);
export type WorkerFrame = z.infer<typeof workerFrame>;

/** Gateway to worker. */
export const gatewayFrame = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("welcome"), leaseMs: z.number(), heartbeatMs: z.number() }),
  z.strictObject({ kind: z.literal("refused"), code: z.string(), message: z.string() }),
  z.strictObject({ kind: z.literal("request"), request: stepRequest }),
  /** The log has the report. */
  z.strictObject({ kind: z.literal("ack"), seq: z.number().int() }),
  /** The report was refused and will not be in the log; the invocation ends. */
  z.strictObject({ kind: z.literal("nack"), seq: z.number().int(), code: z.string(), message: z.string() }),
  z.strictObject({ kind: z.literal("heartbeatAck") }),
  z.strictObject({ kind: z.literal("abort"), runId: z.string() }),
  /** Answer to `needState`; null: the run or this invocation of it is over, drop the request. */
  z.strictObject({
    kind: z.literal("state"),
    runId: z.string(),
    invocation: z.number().int(),
    state: runState.nullable(),
  }),
]);
export type GatewayFrame = z.infer<typeof gatewayFrame>;
