/**
 * Events checked by the schemas that a registry has for them, `<event>-value`, before they are taken.
 *
 * Invariants: who sends waits for the registry only for what was never known, and never long: while it does not answer,
 * what is known stays in force, and events without a known schema are taken. Names of events are asked for only where the
 * registry's own list has them, so that senders cannot make requests of ours. What is kept is bounded.
 */
import { LRUCache } from "lru-cache";
import type { ErrorObject, ValidateFunction } from "ajv";
import type { SchemaSubjects } from "@eddy/clients";
import { fieldPath, RequestError, subjectOf, type Clock, type Logger, type Meter } from "@eddy/clients";
import type { EventInput } from "@eddy/schemas";
import { compileJsonSchema } from "./json-schemas.js";

export interface EventSchemasDeps {
  readonly subjects: Pick<SchemaSubjects, "list" | "latest">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** How long what is known is taken for the newest, in ms. */
export const FRESH_MS = 10_000;
const SCHEMAS_MAX = 1_000;
/** What apps that encrypt have in an event's data: only they can check it. */
const SEALED = "eddy/sealed";

interface Known<T> {
  readonly value: T;
  readonly atMs: number;
}
/** null: there is none for events, such as one of Avro. */
type Check = { readonly validate: ValidateFunction; readonly version: number } | null;

export class EventSchemas {
  readonly #deps: EventSchemasDeps;
  #list: Known<ReadonlySet<string>> | null = null;
  readonly #checks = new LRUCache<string, Known<Check>>({ max: SCHEMAS_MAX });
  /** By what is asked for: one question at a time, and none soon after one that failed. */
  readonly #asking = new Map<string, Promise<void>>();
  readonly #failedAtMs = new LRUCache<string, number>({ max: SCHEMAS_MAX });

  constructor(deps: EventSchemasDeps) {
    this.#deps = deps;
  }

  /** @throws RequestError INVALID_EVENT with the path of the first thing that does not fit */
  async check(events: readonly EventInput[]): Promise<void> {
    const names = new Set(events.map(({ name }) => name));
    const checks = new Map<string, Check>();
    const subjects = await this.#subjects();
    for (const name of names) if (subjects.has(subjectOf(name))) checks.set(name, await this.#checkOf(subjectOf(name)));
    for (const [i, { name, data }] of events.entries()) {
      const check = checks.get(name) ?? null;
      if (check === null || isSealed(data) || check.validate(data ?? {})) continue;
      throw problemOf(name, check, events.length === 1 ? null : i);
    }
  }

  async #subjects(): Promise<ReadonlySet<string>> {
    await this.#refresh("", this.#list, async () => {
      const value = await this.#deps.subjects.list();
      this.#list = { value, atMs: this.#deps.clock.nowMs() };
    });
    return this.#list?.value ?? new Set();
  }

  async #checkOf(subject: string): Promise<Check> {
    await this.#refresh(subject, this.#checks.get(subject) ?? null, async () => {
      const value = await this.#load(subject);
      this.#checks.set(subject, { value, atMs: this.#deps.clock.nowMs() });
    });
    return this.#checks.get(subject)?.value ?? null;
  }

  async #load(subject: string): Promise<Check> {
    const found = await this.#deps.subjects.latest(subject);
    if (found?.type !== "JSON") return null;
    return { validate: compileJsonSchema(JSON.parse(found.text)), version: found.version };
  }

  /** Resolves at once where something is known, however old; it is made new behind the caller's back. */
  async #refresh(what: string, known: Known<unknown> | null, load: () => Promise<void>): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    const lastMs = Math.max(known?.atMs ?? -Infinity, this.#failedAtMs.get(what) ?? -Infinity);
    if (nowMs - lastMs < FRESH_MS) return;
    let asking = this.#asking.get(what);
    if (asking === undefined) {
      asking = this.#ask(what, load);
      this.#asking.set(what, asking);
    }
    if (known === null) await asking;
  }

  async #ask(what: string, load: () => Promise<void>): Promise<void> {
    const { clock, logger, meter } = this.#deps;
    try {
      await load();
      this.#failedAtMs.delete(what);
    } catch (err) {
      this.#failedAtMs.set(what, clock.nowMs());
      meter.count("eddy_schema_failures_total", 1);
      const subject = what === "" ? null : what;
      logger.warn({ err, subject }, "a schema of events cannot be had; what is known stays in force");
    } finally {
      this.#asking.delete(what);
    }
  }
}

function isSealed(data: Readonly<Record<string, unknown>> | undefined): boolean {
  return data !== undefined && Object.hasOwn(data, SEALED);
}

function problemOf(name: string, { validate, version }: NonNullable<Check>, index: number | null): RequestError {
  const [error] = validate.errors ?? [];
  const at = index === null ? "" : `[${index}]`;
  const path = at + fieldPath(["data", ...placeOf(error)], at !== "");
  const by = `schema of ${JSON.stringify(name)}, version ${version}`;
  const message = `${path}: ${error?.message ?? "does not fit"} (${by})`;
  return new RequestError("INVALID_EVENT", message, path);
}

/** From a JSON pointer; with the name of what is missing, or is there and must not be. */
function placeOf(error: ErrorObject | undefined): readonly (string | number)[] {
  const parts = (error?.instancePath ?? "").split("/").slice(1);
  const keys = parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const { missingProperty, additionalProperty } = (error?.params ?? {}) as Readonly<Record<string, unknown>>;
  const last = missingProperty ?? additionalProperty;
  const all = typeof last === "string" ? [...keys, last] : keys;
  return all.map((key) => (/^\d+$/.test(key) ? Number(key) : key));
}
