/** A worker with a scripted engine and a clock in hand. */
import { Eddy } from "../src/index.js";
import type { EddyFunction, EventPayload, Handler } from "../src/index.js";
import { EventSender, type EventDelivery } from "../src/protocol/event-sender.js";
import { Worker, type WorkerOptions } from "../src/worker/worker.js";
import { ManualClock, memoryLogger } from "./manual-clock.js";
import { ScriptedEngine } from "./scripted-engine.js";

export const logger = memoryLogger();
export const eddy = new Eddy({ id: "app", baseUrl: "http://127.0.0.1:1", logger });

/** A function of the app `app`, triggered by `test/started`. */
export const fn = (handler: Handler, id = "f"): EddyFunction =>
  eddy.createFunction({ id, triggers: [{ event: "test/started" }] }, handler);

export async function bench(functions: EddyFunction | readonly EddyFunction[], options: Partial<WorkerOptions> = {}) {
  const engine = new ScriptedEngine();
  const clock = new ManualClock();
  const log = memoryLogger();
  const sent: EventPayload[] = [];
  const sender = new EventSender({ delivery: memoryDelivery(sent), known: new Map() });
  const make = (workerId: string, version = functions): Worker =>
    new Worker(
      {
        app: "app",
        functions: [version].flat(),
        workerId,
        slots: 10,
        suspendedMax: 10,
        drainMs: 1_000,
        idleGraceMs: 500,
        replayGraceMs: 10_000,
        ...options,
      },
      { transport: engine, clock, logger: log, send: (events, idOf) => sender.send(events, idOf) },
    );
  const worker = make("w1");
  await worker.start();
  return {
    engine,
    clock,
    worker,
    log,
    /** What steps have sent. */
    sent,
    /** As if the process had been replaced: a worker that knows nothing takes over, of the same version if not given. */
    replaceWorker: async (version?: EddyFunction | readonly EddyFunction[]): Promise<Worker> => {
      const next = make("w2", version);
      await next.start();
      return next;
    },
  };
}

/** Takes whatever is sent. */
function memoryDelivery(sent: EventPayload[]): EventDelivery {
  return {
    async try({ body, generated }) {
      if (generated.length > 0) throw new Error("a step's events have ids that it can say again");
      const events = [JSON.parse(body) as EventPayload | EventPayload[]].flat();
      sent.push(...events);
      return { ids: events.map(({ id }) => id ?? "") };
    },
    close: async () => undefined,
  };
}
