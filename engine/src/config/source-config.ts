/** What the configuration says of topics that events are taken from, and of the registry of their schemas. */
import { z } from "zod";
import { eventInput } from "@eddy/schemas";

export const SOURCE_FORMATS = ["json", "avro", "json-schema", "protobuf", "cloudevents"] as const;
/** Formats whose records name a schema of the registry. */
export const REGISTRY_FORMATS: readonly (typeof SOURCE_FORMATS)[number][] = ["avro", "json-schema", "protobuf"];
const SOURCES_MAX = 100;

const TOPIC = /^[A-Za-z0-9._-]{1,249}$/;
/** Into a record: its key, its decoded value or a field of that, a header. */
const PATH = /^(key|value|(value|headers)(\.[^.]+)+)$/;
/** An event's name that is found in the record is written as such a path. */
const NAME_PATH = /^(value|headers)\./;
/** Eddy's own topics; what it writes must not come back as events. */
const OWN_TOPIC = "eddy.";

const path = z.string().regex(PATH, "expected key, value, value.<field> or headers.<name>");

const source = z
  .strictObject({
    topic: z
      .string()
      .regex(TOPIC, "expected the name of a topic")
      .refine((topic) => !topic.startsWith(OWN_TOPIC), `topics that begin with ${OWN_TOPIC} are Eddy's own`),
    format: z.enum(SOURCE_FORMATS),
    /** The events' name, or the path where a record tells it. With cloudevents the type, where nothing is said. */
    event: z.string().min(1).optional(),
    /** Path of what makes an event's id. Default: topic, partition and offset; with cloudevents source and id. */
    id: path.optional(),
    /** Path of the time, in ms since 1970 or as ISO 8601. Default: the record's. */
    ts: path.optional(),
    /** Path of the event's data, an object. Default: the whole value; with cloudevents its data. */
    data: path.optional(),
    /** Where to begin in a partition that was never read. */
    from: z.enum(["earliest", "latest"]).default("earliest"),
  })
  .superRefine(({ event, format }, context) => {
    const problem = event === undefined ? nameMissing(format) : nameProblem(event);
    if (problem !== null) context.addIssue({ code: "custom", path: ["event"], message: problem });
  });

export type SourceConfig = Readonly<z.infer<typeof source>>;

/** The environment has text alone: a list in JSON. */
export const sources = z.preprocess(
  (given) => (typeof given === "string" ? fromJson(given) : given),
  z
    .array(source)
    .max(SOURCES_MAX)
    .superRefine((all, context) => {
      for (const [i, { topic }] of all.entries()) {
        if (all.findIndex((one) => one.topic === topic) === i) continue;
        context.addIssue({ code: "custom", path: [i, "topic"], message: "the topic has a source already" });
      }
    })
    .default([]),
);

export const schemaRegistry = z
  .strictObject({
    /** Of the API as Confluent's registry has it; Apicurio: `http://host:8080/apis/ccompat/v7`. */
    url: z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, "")),
    username: z.string().min(1).optional(),
    password: z.string().min(1).optional(),
  })
  .refine(({ username, password }) => (username === undefined) === (password === undefined), {
    message: "username and password belong together: give both, or none",
    path: ["username"],
    when: () => true,
  });

export type SchemaRegistryConfig = Readonly<z.infer<typeof schemaRegistry>>;

/** Is it the path of the name, or the name itself? */
export function isNamePath(event: string): boolean {
  return NAME_PATH.test(event);
}

function nameMissing(format: SourceConfig["format"]): string | null {
  return format === "cloudevents" ? null : "is missing: a name, or the path where a record tells it";
}

function nameProblem(event: string): string | null {
  if (isNamePath(event)) return PATH.test(event) ? null : "expected value.<field> or headers.<name>";
  return eventInput.shape.name.safeParse(event).error?.issues[0]?.message ?? null;
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // Which is no list, as will be said.
  }
}
