/** Random but seeded traffic for one partition: senders, workers and operators, all from outside. */
import {
  canon,
  canonAt,
  decodeStepRequest,
  encodeInbox,
  runBaseOf,
  runIdAt,
  type Cause,
  type FunctionConfig,
  type InboxRecord,
  type Offset,
  type StepOp,
  type StepReport,
  type StepRequest,
} from "@eddy/schemas";
import { offset } from "@eddy/schemas";
import { cancelBy, on, waitFor } from "../partition/builders.js";
import { topics, type World } from "../partition/world.js";

export const APP = "app";
const HOUR = 3_600_000;
const CONDITION = "async.data.j == event.data.k && async.data.n > event.data.n";
const NO_RUN = runIdAt(runBaseOf({ functionId: `${APP}/cart`, eventName: "added", eventId: "no", anchorValue: "" }), 0);
const SETTLE_MS = 200;
const text = new TextEncoder();
const json = (value: unknown): Uint8Array => text.encode(JSON.stringify(value));

/** Small, fast, seeded: mulberry32. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

const FUNCTIONS: readonly FunctionConfig[] = [
  {
    id: "cart",
    name: "cart",
    triggers: [on("added")],
    cancelOn: [cancelBy("added", "data.k", 24 * HOUR)],
    waits: [waitFor("bought", "data.k")],
    retries: 2,
  },
  {
    id: "review",
    name: "review",
    triggers: [{ event: "ask*", if: "event.data.n > 1" }],
    cancelOn: [],
    waits: [{ ...waitFor("answered", "data.k"), since: "trigger" }],
    retries: 1,
  },
  {
    id: "each",
    name: "each",
    triggers: [on("bought")],
    cancelOn: [{ event: "asked", match: null, if: CONDITION, timeout: null }],
    waits: [{ event: "answered", match: null, if: null, since: "mark" }],
    retries: 0,
  },
];
const NAMES = ["added", "bought", "asked", "answered"] as const;
/** Of the functions above, and of waits that none of them declares. */
const PATHS = [...NAMES.map((name) => `=l:${name}`), "data.j", "data.k", "id"];

export class Script {
  readonly #world: World;
  readonly #random: (below: number) => number;
  readonly #requests: { request: StepRequest; cause: Cause }[] = [];
  #stepsFrom: Offset = offset(0);
  #events = 0;
  #registrations = 0;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#random = randomOf(seed);
  }

  /** A whole number below `below`. */
  random(below: number): number {
    return this.#random(below);
  }

  async register(): Promise<void> {
    const functions = FUNCTIONS.slice(0, 1 + this.#random(FUNCTIONS.length));
    this.#registrations++;
    await this.#append({ kind: "register", config: { app: APP, functions: [...functions] }, settleMs: SETTLE_MS });
  }

  /** One action, and the time before it. */
  async step(): Promise<void> {
    await this.#learnRequests();
    this.#world.clock.advance(this.#pause());
    const dice = this.#random(100);
    if (dice < 40) await this.#append(this.#event());
    else if (dice < 45) await this.#append(...Array.from({ length: 1 + this.#random(20) }, () => this.#event("added")));
    else if (dice < 75) await this.#append(this.#report());
    else if (dice < 80) await this.#append(this.#delivered());
    else if (dice < 85) await this.#append(this.#heartbeat());
    else if (dice < 88) await this.#append({ kind: "tick" });
    else if (dice < 91) await this.#append({ kind: "advance", ms: this.#random(2) * this.#random(8) * HOUR });
    else if (dice < 94) await this.#append({ kind: "cancel", runId: this.#anyRun(), reason: "by hand" });
    else if (dice < 97) await this.#garbage();
    else await this.register();
  }

  #pause(): number {
    const dice = this.#random(20);
    if (dice < 5) return 0;
    if (dice < 16) return this.#random(50);
    return dice < 19 ? this.#random(60_000) : this.#random(30) * HOUR;
  }

  async #append(...records: readonly InboxRecord[]): Promise<void> {
    await this.#world.log.append(
      topics.inbox,
      0,
      records.map((record) => ({ key: null, value: encodeInbox(record) })),
    );
  }
  async #garbage(): Promise<void> {
    const value = new Uint8Array(Array.from({ length: this.#random(6) }, () => this.#random(256)));
    await this.#world.log.append(topics.inbox, 0, [{ key: null, value }]);
  }

  #event(name: string = NAMES[this.#random(NAMES.length)] ?? "added"): InboxRecord {
    const user = this.#random(4) === 0;
    const id = user ? `u${this.#random(40)}` : `g${this.#events++}`;
    const later = this.#random(8) === 0 ? this.#world.clock.nowMs() + this.#random(2 * HOUR) : 0;
    const event = { id, name, data: { k: `k${this.#random(4)}`, j: `k${this.#random(4)}`, n: this.#random(5) } };
    return {
      kind: "event",
      id,
      idFrom: user ? "user" : "generated",
      name,
      tsMs: later,
      values: PATHS.map((path) => [path, canonAt(event, path) ?? ""]),
      payload: json(event),
      version: this.#random(1 + this.#registrations),
      home: 0,
      origin: null,
    };
  }

  #report(): InboxRecord {
    const found = this.#anyRequest();
    if (found === null) return this.#event();
    const { runId, invocation } = found.request;
    const ops = Array.from({ length: this.#random(3) }, () => this.#op());
    return { kind: "report", report: { runId, invocation, ops, outcome: this.#outcome() } };
  }
  #op(): StepOp {
    const stepId = `s${this.#random(6)}`;
    const error = { name: "Error", message: "no", stack: null };
    switch (this.#random(6)) {
      case 0:
        return { kind: "stepCompleted", stepId, data: json(this.#random(1_000)) };
      case 1:
        return { kind: "stepFailed", stepId, error, retriable: this.#random(3) > 0, retryAfter: null };
      case 2:
        return { kind: "sleepRequested", stepId, until: { ms: this.#random(10_000) } };
      case 3:
        return { kind: "withdrawn", stepId };
      default:
        return this.#wait(stepId);
    }
  }
  #wait(stepId: string): StepOp {
    const listens = [
      { match: "data.k", if: null },
      { match: "data.j", if: null },
      { match: null, if: CONDITION },
      { match: null, if: null },
    ] as const;
    const event = NAMES[this.#random(NAMES.length)] ?? "bought";
    const listen = listens[this.#random(listens.length)] ?? listens[0];
    const lane = listen.match === null && listen.if === null;
    const value = lane ? canonAt({}, `=l:${event}`) : this.#random(6) === 0 ? null : canon(`k${this.#random(4)}`);
    const since = (["mark", "trigger", "registration"] as const)[this.#random(3)] ?? "mark";
    return { kind: "waitRequested", stepId, event, ...listen, value, since, timeout: { ms: this.#random(3 * HOUR) } };
  }
  #outcome(): StepReport["outcome"] {
    const error = { name: "Error", message: "threw", stack: null };
    switch (this.#random(5)) {
      case 0:
        return null;
      case 1:
        return { kind: "returned", data: json("done") };
      case 2:
        return { kind: "threw", error, retriable: this.#random(3) > 0, retryAfter: null };
      default:
        return { kind: "suspended" };
    }
  }
  #delivered(): InboxRecord {
    const found = this.#anyRequest();
    return found === null ? { kind: "tick" } : { kind: "delivered", app: APP, mark: found.cause };
  }
  #heartbeat(): InboxRecord {
    const running = [this.#anyRequest(), this.#anyRequest()].flatMap((found) =>
      found === null ? [] : [{ runId: found.request.runId, invocation: found.request.invocation }],
    );
    return { kind: "heartbeat", app: APP, running };
  }
  /** Mostly a late one. */
  #anyRequest(): { request: StepRequest; cause: Cause } | null {
    const among = Math.min(this.#requests.length, this.#random(4) === 0 ? 1_000_000 : 6);
    return this.#requests[this.#requests.length - 1 - this.#random(among)] ?? null;
  }
  #anyRun(): string {
    return this.#anyRequest()?.request.runId ?? NO_RUN;
  }

  /** What workers would have read of the steps topic by now. */
  async #learnRequests(): Promise<void> {
    const reader = this.#world.log.reader(topics.steps(APP), 0, this.#stepsFrom);
    for (const { value } of await reader.read({ recordsMax: 100_000, waitMs: 0 })) {
      const { cause, body } = decodeStepRequest(value ?? new Uint8Array());
      this.#requests.push({ request: body, cause });
    }
    this.#stepsFrom = reader.position;
    await reader.close();
  }
}
