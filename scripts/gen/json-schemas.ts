/** JSON Schema of the wire contracts, from the zod schemas that are their source. One file per group of contracts. */
import * as schemas from "@eddy/schemas";
import { z } from "zod";

type Named = Readonly<Record<string, z.ZodType>>;

/** File name to title and definitions. Names are the contract's, for readers in other languages. */
const GROUPS: Readonly<Record<string, { readonly title: string; readonly definitions: Named }>> = {
  event: {
    title: "Events as users send them",
    definitions: { EventInput: schemas.eventInput },
  },
  functions: {
    title: "Function configurations and registrations",
    definitions: {
      FunctionConfig: schemas.functionConfig,
      AppConfig: schemas.appConfig,
      RegisteredApp: schemas.registeredApp,
    },
  },
  inbox: { title: "Records of the inbox topic", definitions: { InboxRecord: schemas.inboxRecord } },
  steps: {
    title: "Step requests, run states and step reports",
    definitions: {
      StepRequest: schemas.stepRequest,
      RunState: schemas.runState,
      StepReport: schemas.stepReport,
      CausedStepRequest: schemas.caused(schemas.stepRequest),
    },
  },
  history: {
    title: "Records of the history, dlq, registry and signals topics",
    definitions: {
      HistoryEntry: schemas.historyEntry,
      CausedHistoryEntry: schemas.caused(schemas.historyEntry),
      DeadLetter: schemas.deadLetter,
      RegistryEntry: schemas.registryEntry,
      Signal: schemas.signal,
    },
  },
  rows: {
    title: "Rows of the changelog and the local store",
    definitions: {
      ...Object.fromEntries(Object.entries(schemas.ROW_SCHEMAS).map(([kind, row]) => [`${capital(kind)}Row`, row])),
      MetaRow: schemas.metaRow,
    },
  },
  worker: {
    title: "Frames between a worker and the gateway",
    definitions: { WorkerFrame: schemas.workerFrame, GatewayFrame: schemas.gatewayFrame },
  },
  http: {
    title: "Bodies of the gateway's HTTP API",
    definitions: {
      SendEventsBody: schemas.sendEventsBody,
      SendEventsReply: schemas.sendEventsReply,
      RunReply: schemas.runReply,
      EventRunsReply: schemas.eventRunsReply,
      TimelineReply: schemas.timelineReply,
      AdvanceClockBody: schemas.advanceClockBody,
      ClockReply: schemas.clockReply,
      ErrorReply: schemas.errorReply,
    },
  },
};

/** @returns file name to text, for every file of schemas/gen. */
export function jsonSchemas(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const [group, { title, definitions }] of Object.entries(GROUPS)) {
    const $defs = Object.fromEntries(Object.entries(definitions).map(([name, schema]) => [name, toJson(schema)]));
    const document = { $schema: "https://json-schema.org/draft/2020-12/schema", title, $defs };
    files.set(`${group}.json`, `${JSON.stringify(document, null, 2)}\n`);
  }
  return files;
}

/** What a sender may write ("input"), with byte strings as MessagePack has them. */
function toJson(schema: z.ZodType): object {
  const json = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type !== "custom") return;
      if (!(zodSchema instanceof z.ZodCustom) || !zodSchema.safeParse(new Uint8Array()).success) {
        throw new Error("a custom zod type other than bytes: say in json-schemas.ts how JSON Schema writes it");
      }
      Object.assign(jsonSchema, { type: "string", contentEncoding: "binary", description: "a byte string" });
    },
  });
  const { $schema: _, ...rest } = json;
  return rest;
}

function capital(kind: string): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}
