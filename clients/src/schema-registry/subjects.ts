/** Subjects of a schema registry with Confluent's API, as far as events need them: JSON Schemas under `<event>-value`. */
import { ConfigError, TransientError } from "../errors/codes.js";

export interface SchemaRegistryPlace {
  /** Without a slash at its end. */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

export interface SubjectSchema {
  readonly version: number;
  /** As the registry has it: JSON, AVRO, PROTOBUF. */
  readonly type: string;
  readonly text: string;
}

/** The registry refuses a schema that does not fit the versions before it. */
export class IncompatibleSchemaError extends Error {
  override readonly name = "IncompatibleSchemaError";
}

/** One question, in ms. */
const ASK_MS_MAX = 5_000;
const CONTENT_TYPE = "application/vnd.schemaregistry.v1+json";
const STATUS = { notFound: 404, conflict: 409, timeout: 408, tooMany: 429, serverError: 500 } as const;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** The subject that an event's schema has; it describes the event's `data`. */
export function subjectOf(eventName: string): string {
  return `${eventName}-value`;
}

export class SchemaSubjects {
  readonly #place: SchemaRegistryPlace;
  readonly #fetch: typeof fetch;

  constructor(place: SchemaRegistryPlace, fetchWith: typeof fetch = fetch) {
    this.#place = place;
    this.#fetch = fetchWith;
  }

  /** @throws TransientError, ConfigError */
  async list(): Promise<ReadonlySet<string>> {
    const { body } = this.#checked(await this.#ask("GET", "/subjects"), "tell its subjects");
    return new Set(Array.isArray(body) ? body.filter((each) => typeof each === "string") : []);
  }

  /** @returns null: there is no such subject. @throws TransientError, ConfigError */
  async latest(subject: string): Promise<SubjectSchema | null> {
    const answer = await this.#ask("GET", `/subjects/${encodeURIComponent(subject)}/versions/latest`);
    if (answer.status === STATUS.notFound) return null;
    const body = this.#checked(answer, `tell the schema of ${subject}`).body as Readonly<Record<string, unknown>>;
    return {
      version: Number(body["version"]),
      type: typeof body["schemaType"] === "string" ? body["schemaType"] : "AVRO",
      text: typeof body["schema"] === "string" ? body["schema"] : "",
    };
  }

  /**
   * A JSON Schema as the subject's newest version; one that is a version already is left alone.
   * @throws IncompatibleSchemaError in the registry's words, TransientError, ConfigError
   */
  async register(subject: string, schema: object): Promise<void> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const answer = await this.#ask("POST", path, { schemaType: "JSON", schema: JSON.stringify(schema) });
    if (answer.status === STATUS.conflict) throw new IncompatibleSchemaError(wordsOf(answer));
    this.#checked(answer, `take the schema of ${subject}`);
  }

  #checked(answer: Answer, doing: string): Answer {
    const { status } = answer;
    if (status < 300) return answer;
    const message = `the schema registry at ${this.#place.url} does not ${doing} (${status}): ${wordsOf(answer)}`;
    const mayPass = status >= STATUS.serverError || status === STATUS.timeout || status === STATUS.tooMany;
    throw mayPass ? new TransientError(message) : new ConfigError(message);
  }

  async #ask(method: string, path: string, body?: object): Promise<Answer> {
    const { url, username, password } = this.#place;
    const headers: Record<string, string> = { accept: `${CONTENT_TYPE}, application/json` };
    if (username !== undefined && password !== undefined) {
      headers["authorization"] = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
    }
    if (body !== undefined) headers["content-type"] = CONTENT_TYPE;
    try {
      const reply = await this.#fetch(url + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(ASK_MS_MAX),
      });
      return { status: reply.status, body: parsed(await reply.text()) };
    } catch (cause) {
      const reason = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause : cause).message : "";
      throw new TransientError(`the schema registry at ${url} does not answer: ${reason}`, {}, { cause });
    }
  }
}

function wordsOf({ body }: Answer): string {
  if (typeof body === "object" && body !== null && "message" in body) return String(body.message);
  return typeof body === "string" ? body.slice(0, 1_000) : JSON.stringify(body);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // A proxy's page: its status and words are told.
  }
}
