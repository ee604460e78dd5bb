/** Registrations: inbox 0 numbers them, every partition applies them in that order. */
import {
  configBytes,
  configDigest,
  LIMITS,
  type AppConfig,
  type DeclaredWait,
  type FunctionConfig,
  type InboxRecordOf,
  type RegisteredApp,
} from "@eddy/schemas";
import { partitionRowOf, type Draft } from "../draft.js";

export function onRegister(draft: Draft, { app, functions }: AppConfig): void {
  const { partition, partitions } = draft.moment;
  if (partition !== 0) {
    draft.reject("NOT_INBOX_ZERO", `registrations go to inbox 0, this is ${partition}`);
    return;
  }
  const { apps } = draft.functions();
  const others = apps
    .filter((known) => known.app !== app)
    .reduce((sum, known) => sum + configBytes(known.functions), 0);
  if (others + configBytes(functions) > LIMITS.registryBytesMax) {
    draft.reject("REGISTRY_FULL", `all apps together have at most ${LIMITS.registryBytesMax} bytes of configuration`);
    return;
  }
  const version = draft.partitionRow().registrations + 1;
  const retired = retiredBy(
    apps.find((known) => known.app === app),
    functions,
  );
  const config: RegisteredApp = { app, version, digest: configDigest(app, functions), functions, retired };
  draft.emit({ kind: "RegistrationNumbered", version });
  draft.effect({ kind: "PublishRegistry", key: `app/${app}`, entry: { kind: "app", config } });
  for (let to = 0; to < partitions; to++) {
    const { offset, index } = draft.nextCause();
    const record = { kind: "registered" as const, config, source: { partition, offset, index } };
    draft.effect({ kind: "AppendInbox", partition: to, record });
  }
}

/** What runs of the former registrations listen to and the new one does not: such runs go on, and so do their routes. */
function retiredBy(former: RegisteredApp | undefined, functions: readonly FunctionConfig[]): DeclaredWait[] {
  const listens = (fns: readonly FunctionConfig[]): DeclaredWait[] =>
    fns.flatMap((fn) => [...fn.cancelOn, ...fn.waits].map(({ event, match }) => ({ event, match })));
  const now = new Set(listens(functions).map(({ event, match }) => `${event}\n${match}`));
  const retired = new Map<string, DeclaredWait>();
  for (const wait of [...listens(former?.functions ?? []), ...(former?.retired ?? [])]) {
    const key = `${wait.event}\n${wait.match}`;
    if (!now.has(key)) retired.set(key, wait);
  }
  return [...retired.values()].slice(0, LIMITS.retiredWaitsMax);
}

/** A repeat is known by its source mark and dropped. */
export function onRegistered(draft: Draft, { config, source }: InboxRecordOf<"registered">): void {
  const mark = partitionRowOf(draft).marks.find((m) => m.partition === source.partition);
  const seen =
    mark !== undefined &&
    (source.offset < mark.offset || (source.offset === mark.offset && source.index <= mark.index));
  if (seen) {
    draft.reject("REPEATED_RECORD", `registration ${config.version} of ${config.app} was applied before`);
    return;
  }
  draft.emit({ kind: "SourceMarkMoved", source });
  if (config.version <= draft.functions().version) {
    draft.reject("STALE_REGISTRATION", `version ${config.version} is not above ${draft.functions().version}`);
    return;
  }
  draft.emit({ kind: "FunctionsRegistered", config });
  const { partition } = draft.moment;
  draft.effect({
    kind: "PublishRegistry",
    key: `applied/${partition}`,
    entry: { kind: "applied", partition, version: config.version },
  });
}
