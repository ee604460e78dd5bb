/**
 * Registrations: inbox 0 numbers them and applies each as it does, every other partition applies them in that order. A
 * wait that nobody declared is registered likewise: from then on its function has it declared.
 */
import {
  anchorPathIn,
  configDigest,
  LIMITS,
  listenRouteOf,
  partitionOfShard,
  Routes,
  shardOfRun,
  type FormerFunction,
  type FunctionConfig,
  type InboxRecordOf,
  type LearnedWait,
  type RetiredPath,
  type RegisteredApp,
} from "@eddy/schemas";
import { engineError, functionsOf, partitionRowOf, type Draft } from "../draft.js";
import { utf8Bytes } from "../utf8.js";
import { isListened, listenedBy } from "./functions.js";
import { offerPast } from "./offer.js";
import type { Row, RowView } from "../state/view.js";

type News = InboxRecordOf<"registered">["news"];

/** A registration that inbox 0 is about to number. */
export interface Numbering {
  readonly config: RegisteredApp;
  readonly news: News;
  readonly settleMs: number;
}

export function onRegister(draft: Draft, record: InboxRecordOf<"register">): void {
  if (draft.moment.partition !== 0) return notInboxZero(draft, "registrations go to inbox 0");
  const fitting = fittingOf(draft, numberingOf(draft, record));
  if (typeof fitting === "string") return draft.reject("REGISTRY_FULL", fitting);
  number(draft, fitting);
}

/** @param rows of partition 0. */
export function numberingOf(
  rows: Pick<RowView, "get">,
  { config: { app, functions }, settleMs }: InboxRecordOf<"register">,
): Numbering {
  const known = functionsOf(rows);
  const former = known.apps.find((other) => other.app === app);
  const learned = (former?.learned ?? []).filter(({ functionId }) => functions.some(({ id }) => id === functionId));
  const config = {
    app,
    version: partitionRowOf(rows).registrations + 1,
    digest: configDigest(app, functions),
    functions,
    anchors: anchorsOf(former, functions),
    learned,
    retired: [],
    former: [],
  };
  const news = listenedBy(config).filter((listened) => !isListened(known, listened));
  const left = { retired: retiredBy(former, config), former: formerOf(former, config) };
  return { config: { ...config, ...left }, news, settleMs };
}

/** Each function's as it was first; of those that are gone too, should they come again while events are under way. */
function anchorsOf(former: RegisteredApp | undefined, functions: readonly FunctionConfig[]): RegisteredApp["anchors"] {
  const before = former?.anchors ?? [];
  const own = functions.map((fn): [string, string] => [fn.id, anchorPathIn({ anchors: before }, fn)]);
  const gone = before.filter(([id]) => !functions.some((fn) => fn.id === id));
  return [...own, ...gone].slice(0, 2 * LIMITS.functionsPerAppMax);
}

export function onLearn(draft: Draft, record: InboxRecordOf<"learn">): void {
  if (draft.moment.partition !== 0) return notInboxZero(draft, "what is learned goes to inbox 0");
  const numbering = learningOf(draft, record);
  if (numbering === null) return draft.reject("STALE_REGISTRATION", `${record.wait.event} is registered already`);
  const fitting = numbering === "too many" ? tooManyLearned(record.app) : fittingOf(draft, numbering);
  if (typeof fitting !== "string") return number(draft, fitting);
  draft.reject("REGISTRY_FULL", fitting);
  const { base } = record;
  draft.append(partitionOfShard(shardOfRun(base), draft.moment.partitions), (source) => ({
    kind: "answer",
    base,
    runId: null,
    answer: { kind: "failed", error: engineError("UndeclaredWaitError", fitting) },
    source,
  }));
}

function tooManyLearned(app: string): string {
  return (
    `the runs of ${app} wait for more than ${LIMITS.learnedWaitsPerAppMax} kinds of events that its functions ` +
    "have not declared; declare them in the waits option, or use fewer event names"
  );
}

/** @param rows of partition 0. @returns null where there is nothing to be learned. */
export function learningOf(
  rows: Pick<RowView, "get">,
  { app: name, wait, settleMs }: InboxRecordOf<"learn">,
): Numbering | "too many" | null {
  const known = functionsOf(rows);
  const app = known.apps.find((other) => other.app === name);
  if (app === undefined) return null; // Its runs came from somewhere: bogus.
  const isKnown = app.learned.some((other) => isSame(other, wait));
  const isHeard = isListened(known, wait);
  if (isKnown && isHeard) return null;
  if (!isKnown && app.learned.length >= LIMITS.learnedWaitsPerAppMax) return "too many";
  const { functionId, event, path, of } = wait;
  const config = {
    ...app,
    version: partitionRowOf(rows).registrations + 1,
    learned: isKnown ? app.learned : [...app.learned, { functionId, event, path, of }],
  };
  return { config, news: isHeard ? [] : [{ event, path }], settleMs };
}

function isSame(a: LearnedWait, b: LearnedWait): boolean {
  return a.functionId === b.functionId && a.event === b.event && a.path === b.path && a.of === b.of;
}

function number(draft: Draft, { config, news, settleMs }: Numbering): void {
  const { partition, partitions } = draft.moment;
  draft.emit({ kind: "RegistrationNumbered", version: config.version });
  draft.effect({ kind: "PublishRegistry", key: `app/${config.app}`, entry: { kind: "app", config } });
  for (let to = 0; to < partitions; to++) {
    if (to !== partition) draft.append(to, (source) => ({ kind: "registered", config, news, settleMs, source }));
  }
  apply(draft, { config, news, settleMs });
}

/**
 * What former registrations route by or listen to and the new one does not: runs of theirs go on to listen, and partitions
 * that still have those start runs by them.
 */
function retiredBy(former: RegisteredApp | undefined, now: RegisteredApp): RetiredPath[] {
  const routes = new Routes([now]);
  const routed = new Set(routes.all.map(({ event, path }) => `${event}\n${path}`));
  const isLeft = (path: RetiredPath): boolean =>
    path.isListened ? !routes.isListened(path) : !routed.has(`${path.event}\n${path.path}`);
  const before = former === undefined ? [] : new Routes([former]).all;
  return before.filter(isLeft).slice(0, LIMITS.retiredWaitsMax);
}

/**
 * Functions that the new registration changes or drops, as they were: until it is in force everywhere, an event may start
 * runs of theirs on one partition, while another one that should listen for those has the new registration already.
 */
function formerOf(former: RegisteredApp | undefined, { version, functions }: RegisteredApp): FormerFunction[] {
  const textOf = ({ triggers, cancelOn, waits }: FunctionConfig): string => JSON.stringify([triggers, cancelOn, waits]);
  const now = new Map(functions.map((fn) => [fn.id, textOf(fn)]));
  const changed = (former?.functions ?? []).filter((fn) => now.get(fn.id) !== textOf(fn));
  const all = [...changed.map((fn) => ({ fn, until: version })), ...(former?.former ?? [])];
  let bytes = 0;
  const end = all.findIndex((entry) => (bytes += utf8Bytes(JSON.stringify(entry))) > LIMITS.formerBytesMax);
  return end === -1 ? all : all.slice(0, end);
}

/** Registered apps are immutable, and each comes back with every other's registration. A memo: it changes no answer. */
const sizes = new WeakMap<RegisteredApp, number>();

function registeredBytes(config: RegisteredApp): number {
  const bytes = sizes.get(config) ?? utf8Bytes(JSON.stringify(config));
  sizes.set(config, bytes);
  return bytes;
}

/**
 * All apps are one row, a registration and its news one record, and an event carries the names of its paths.
 * @returns why there is no room for this one; null where there is.
 */
function fullness({ apps }: Row<"functions">, { config, news }: Pick<Numbering, "config" | "news">): string | null {
  const others = apps.filter((known) => known.app !== config.app);
  const newsBytes = utf8Bytes(JSON.stringify(news));
  const bytes = others.reduce((sum, known) => sum + registeredBytes(known), registeredBytes(config) + newsBytes);
  const widest = new Routes([...others, config]).widestBytes;
  if (widest > LIMITS.routeBytesMax) {
    const limit = LIMITS.routeBytesMax;
    return `with ${config.app}, events of one name are routed by paths of ${widest} bytes, the limit is ${limit}`;
  }
  if (bytes <= LIMITS.registryBytesMax) return null;
  const limit = LIMITS.registryBytesMax;
  return `with ${config.app}, all apps come to ${bytes} bytes of configuration, the limit is ${limit}`;
}

/** Without what was, where there is no room for that. @returns why there is no room even so. */
function fittingOf(draft: Draft, numbering: Numbering): Numbering | string {
  const functions = draft.functions();
  if (fullness(functions, numbering) === null) return numbering;
  const lean = { ...numbering, config: { ...numbering.config, former: [] } };
  return fullness(functions, lean) ?? lean;
}

export function onRegistered(draft: Draft, { config, news, settleMs, source }: InboxRecordOf<"registered">): void {
  if (source.partition !== 0) return notInboxZero(draft, "registrations are numbered by inbox 0");
  if (config.version <= draft.functions().version) {
    const detail = `version ${config.version} is not above ${draft.functions().version}`;
    return draft.reject("STALE_REGISTRATION", detail);
  }
  const problem = fullness(draft.functions(), { config, news });
  if (problem !== null) return draft.reject("REGISTRY_FULL", problem);
  apply(draft, { config, news, settleMs });
}

function apply(draft: Draft, { config, news, settleMs }: Numbering): void {
  const { partition, partitions, rawMs } = draft.moment;
  const { version } = config;
  draft.emit({ kind: "FunctionsRegistered", config, settleMs });
  draft.effect({
    kind: "PublishRegistry",
    key: `applied/${partition}`,
    entry: { kind: "applied", partition, version },
  });
  if (news.length === 0) return;
  const routes = news.map(({ event, path }) => ({ event, path }));
  draft.emit({ kind: "SettlingBegan", version, routes, partitions, sendAtMs: rawMs + Math.max(1, settleMs) });
  offerPast(draft, news);
}

/** What a wait of a run is learned as. `of`: a constant is each run's own, but for lanes. */
export function learnedWaitOf(functionId: string, listen: Parameters<typeof listenRouteOf>[0]): LearnedWait {
  const { path, of } = listenRouteOf(listen);
  const isConstant = of.startsWith("=") && of !== path;
  return { functionId, event: listen.event, path, of: isConstant ? null : of };
}

function notInboxZero(draft: Draft, what: string): void {
  draft.reject("NOT_INBOX_ZERO", `${what}, this is ${draft.moment.partition}`);
}
