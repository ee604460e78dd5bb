/** Registrations: inbox 0 numbers them, every partition applies them in that order. */
import {
  configDigest,
  LIMITS,
  type AppConfig,
  type DeclaredWait,
  type FunctionConfig,
  type InboxRecordOf,
  type RegisteredApp,
} from "@eddy/schemas";
import { partitionRowOf, type Draft } from "../draft.js";
import { utf8Bytes } from "../utf8.js";

export function onRegister(draft: Draft, { app, functions }: AppConfig): void {
  const { partition, partitions } = draft.moment;
  if (partition !== 0) {
    draft.reject("NOT_INBOX_ZERO", `registrations go to inbox 0, this is ${partition}`);
    return;
  }
  const { apps } = draft.functions();
  const version = draft.partitionRow().registrations + 1;
  const retired = retiredBy(
    apps.find((known) => known.app === app),
    functions,
  );
  const config: RegisteredApp = { app, version, digest: configDigest(app, functions), functions, retired };
  if (isFull(draft, config)) return;
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

/** Registered apps are immutable, and each comes back with every other's registration. A memo: it changes no answer. */
const sizes = new WeakMap<RegisteredApp, number>();

function registeredBytes(config: RegisteredApp): number {
  const bytes = sizes.get(config) ?? utf8Bytes(JSON.stringify(config));
  sizes.set(config, bytes);
  return bytes;
}

/** All apps are one row. @returns true where there is no room: the registration is refused. */
function isFull(draft: Draft, config: RegisteredApp): boolean {
  const others = draft.functions().apps.filter((known) => known.app !== config.app);
  const bytes = others.reduce((sum, known) => sum + registeredBytes(known), registeredBytes(config));
  if (bytes <= LIMITS.registryBytesMax) return false;
  const detail = `with ${config.app}, all apps come to ${bytes} bytes of configuration, the limit is `;
  draft.reject("REGISTRY_FULL", detail + LIMITS.registryBytesMax);
  return true;
}

/** A repeat is known by its source mark and dropped. */
export function onRegistered(draft: Draft, { config, source }: InboxRecordOf<"registered">): void {
  if (source.partition !== 0) {
    draft.reject("NOT_INBOX_ZERO", `registrations are numbered by inbox 0, this one by ${source.partition}`);
    return;
  }
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
  if (isFull(draft, config)) return;
  draft.emit({ kind: "FunctionsRegistered", config });
  const { partition } = draft.moment;
  draft.effect({
    kind: "PublishRegistry",
    key: `applied/${partition}`,
    entry: { kind: "applied", partition, version: config.version },
  });
}
