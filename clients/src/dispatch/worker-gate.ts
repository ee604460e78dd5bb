/**
 * The door for workers, whatever the transport: takes hello, registers the app where that is not done yet, and
 * welcomes the worker once the registration is in force on every partition. One that comes back is welcomed as it is.
 *
 *   opened --hello--> joining --in force--> welcomed --> closed
 *      \__ any other frame, or a broken one __\_______________/   (from every state)
 */
import { decodeFrame, HEARTBEAT_MS, LEASE_MS, PROTOCOL_VERSION, workerFrame, type WorkerFrame } from "@eddy/schemas";
import { ClosedError, ConfigError, EddyError } from "../errors/codes.js";
import type { RegistryView } from "../registry/registry-view.js";
import { registerApp, rejoinApp } from "./registration.js";
import type { Bounds } from "./bound-frames.js";
import { StepDispatcher, type DispatcherDeps } from "./step-dispatcher.js";
import { CLOSE_CODES, type WorkerChannel, type WorkerLink } from "./worker-link.js";
import type { WorkerSession } from "./worker-session.js";

export interface WorkerGateDeps extends DispatcherDeps {
  readonly registry: RegistryView;
}

/** Of one app, as far as its workers are connected here. */
export interface AppFigures {
  readonly app: string;
  readonly workers: number;
  readonly inFlight: number;
  readonly slots: { readonly all: number; readonly free: number };
  readonly failure: Error | null;
}

/** How long a connection may stay without a hello, in ms. */
export const HELLO_MS_MAX = 10_000;
/** Reasons of close frames hold at most 123 bytes. */
const REASON_CHARS_MAX = 120;

type Hello = Extract<WorkerFrame, { kind: "hello" }>;

export class WorkerGate {
  readonly #deps: WorkerGateDeps;
  readonly #dispatchers = new Map<string, Promise<StepDispatcher>>();
  readonly #running = new Map<string, StepDispatcher>();
  readonly #links = new Set<WorkerLink>();
  #isClosed = false;

  constructor(deps: WorkerGateDeps) {
    this.#deps = deps;
  }

  /** A worker has connected. @param bounds which apps it may be of; null: any */
  accept(link: WorkerLink, bounds: Bounds | null = null): WorkerChannel {
    if (this.#isClosed) link.close(CLOSE_CODES.goingAway, "the engine stops");
    this.#links.add(link);
    let state: "opened" | "joining" | "welcomed" | "closed" = "opened";
    let session: WorkerSession | null = null;
    let frames: Pick<WorkerSession, "receive"> | null = null;
    const gone = new AbortController();
    const join = async (hello: Hello): Promise<void> => {
      state = "joining";
      const { app } = hello.config;
      if (bounds !== null && !bounds.apps.has(app)) {
        this.#deps.logger.warn(
          { app, workerId: hello.workerId },
          "a worker is of an app that its token is not bound to",
        );
        this.#refuse(link, "FORBIDDEN", `the token is not bound to the app ${app}`);
        return;
      }
      const dispatcher = await this.#join(link, hello, gone.signal);
      if (dispatcher === null || state !== "joining") return;
      state = "welcomed";
      link.send({ kind: "welcome", leaseMs: LEASE_MS, heartbeatMs: HEARTBEAT_MS });
      session = dispatcher.attach(link, hello);
      frames = bounds === null ? session : dispatcher.bound(session, bounds);
    };
    void this.#deps.clock.sleep(HELLO_MS_MAX, gone.signal).then(() => {
      if (state === "opened") close(link, "brokenFrame", `no hello within ${HELLO_MS_MAX} ms`);
    });
    return {
      receive: (data) => {
        if (state === "closed") return;
        const frame = this.#read(link, data);
        if (frame === null) return;
        if (frames !== null) frames.receive(frame);
        else if (state === "opened" && frame.kind === "hello") void join(frame);
        else if (frame.kind !== "heartbeat") close(link, "brokenFrame", `${frame.kind} before welcome`);
      },
      writable: () => session?.writable(),
      closed: () => {
        state = "closed";
        gone.abort();
        this.#links.delete(link);
        session?.detach();
      },
    };
  }

  /** For readiness and figures: connected workers and what they have, by app. */
  get apps(): readonly AppFigures[] {
    return [...this.#running].map(([app, dispatcher]) => {
      const { workers, inFlight, slots, failure } = dispatcher;
      return { app, workers, inFlight, slots, failure };
    });
  }

  /** Closes every connection, stops every dispatcher. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const link of this.#links) link.close(CLOSE_CODES.goingAway, "the engine stops");
    const started = await Promise.allSettled(this.#dispatchers.values());
    const stopping = started.flatMap((result) => (result.status === "fulfilled" ? [result.value.stop()] : []));
    await Promise.all(stopping);
  }

  /** @returns null for a broken frame; the connection is closed then. */
  #read(link: WorkerLink, data: Uint8Array): WorkerFrame | null {
    let decoded: unknown;
    try {
      decoded = decodeFrame(data);
    } catch (error) {
      close(link, "brokenFrame", error instanceof Error ? error.message : String(error));
      return null;
    }
    const parsed = workerFrame.safeParse(decoded);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    const message = `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not a frame"}`;
    if ((decoded as { kind?: unknown } | null)?.kind === "hello") this.#refuse(link, "INVALID_HELLO", message);
    else close(link, "brokenFrame", message);
    return null;
  }

  /** @returns null where the worker was refused, or has gone. */
  async #join(link: WorkerLink, hello: Hello, gone: AbortSignal): Promise<StepDispatcher | null> {
    const { config, protocol, workerId } = hello;
    if (protocol !== PROTOCOL_VERSION) {
      const message = `this engine speaks protocol ${PROTOCOL_VERSION}, the worker ${protocol}: use matching versions`;
      return this.#refuse(link, "PROTOCOL_MISMATCH", message);
    }
    try {
      await (hello.rejoin === true ? rejoinApp : registerApp)(config, this.#deps, gone);
      return await this.#dispatcherOf(config.app);
    } catch (err) {
      if (gone.aborted) return null;
      this.#deps.logger.warn({ err, app: config.app, workerId }, "a worker could not join");
      const isFinal = err instanceof ConfigError;
      if (isFinal) return this.#refuse(link, err.code, err.message);
      // Not a refusal: the worker connects again by itself.
      close(link, "tryAgain", err instanceof EddyError ? err.message : "the engine could not take this worker in");
      return null;
    }
  }

  #dispatcherOf(app: string): Promise<StepDispatcher> {
    if (this.#isClosed) return Promise.reject(new ClosedError("the engine stops"));
    const known = this.#dispatchers.get(app);
    if (known !== undefined) return known;
    const starting = this.#startDispatcher(app);
    this.#dispatchers.set(app, starting);
    starting.catch(() => this.#dispatchers.delete(app));
    return starting;
  }

  async #startDispatcher(app: string): Promise<StepDispatcher> {
    const dispatcher = new StepDispatcher(app, this.#deps);
    await dispatcher.start();
    this.#running.set(app, dispatcher);
    return dispatcher;
  }

  #refuse(link: WorkerLink, code: string, message: string): null {
    link.send({ kind: "refused", code, message });
    close(link, "refused", `${code}: ${message}`);
    return null;
  }
}

function close(link: WorkerLink, code: keyof typeof CLOSE_CODES, reason: string): void {
  link.close(CLOSE_CODES[code], reason.slice(0, REASON_CHARS_MAX));
}
