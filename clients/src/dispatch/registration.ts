/** How an app comes into force: what whoever lets workers in does first, a gateway or a worker's own process. */
import { appConfig, configDigest, encodeInbox, type AppConfig, type RegisteredApp } from "@eddy/schemas";
import { ConfigError } from "../errors/codes.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { RegistryView } from "../registry/registry-view.js";
import type { InboxLanes } from "../send/inbox-lanes.js";
import { appTopicSpecs, type Topics } from "../topics.js";

export interface RegistrationDeps {
  readonly log: Pick<Log, "ensureTopics">;
  readonly clock: Clock;
  readonly topics: Topics;
  readonly lanes: InboxLanes;
  readonly registry: RegistryView;
}

/** How long a registration may take to be in force, in ms. */
export const REGISTRATION_MS_MAX = 30_000;

/**
 * Resolves when the configuration is in force on every partition. Topics come first: no request may find its topic
 * missing. Registers only what is not the app's newest configuration already, so that a repeat is harmless.
 * @throws ConfigError for a configuration that partitions would not take, such as a condition that does not parse, and
 *   where the app's topics cannot be as they have to be. TransientError where the log does not answer,
 *   after REGISTRATION_MS_MAX, or when `signal` aborts; its message names the partitions that lag.
 */
export async function registerApp(
  config: AppConfig,
  { log, clock, topics, lanes, registry }: RegistrationDeps,
  signal: AbortSignal,
): Promise<RegisteredApp> {
  checkConfig(config);
  const { app, functions } = config;
  await log.ensureTopics(appTopicSpecs(topics, app, lanes.partitions));
  await registry.whenFresh();
  const digest = configDigest(app, functions);
  if (registry.app(app)?.digest !== digest) {
    await lanes.append(0, [
      { key: app, value: encodeInbox({ kind: "register", config, settleMs: registry.settleMs }) },
    ]);
  }
  const done = new AbortController();
  const late = clock.sleep(REGISTRATION_MS_MAX, AbortSignal.any([done.signal, signal])).then(() => done.abort());
  try {
    return await registry.waitUntilInForce(app, digest, AbortSignal.any([done.signal, signal]));
  } finally {
    done.abort();
    await late;
  }
}

/**
 * For a worker that lost its connection and comes back: the app's configuration stays as it is, whoever registered it
 * meanwhile. Otherwise an old worker's network trouble in the middle of a rolling deploy would put the old list in force
 * again. Registers where the app is not registered at all, as in a namespace that was made anew.
 * @throws as `registerApp`
 */
export async function rejoinApp(
  config: AppConfig,
  deps: RegistrationDeps,
  signal: AbortSignal,
): Promise<RegisteredApp> {
  await deps.registry.catchUp();
  return deps.registry.app(config.app) ?? registerApp(config, deps, signal);
}

/** Gateways check it in the hello; a worker's own process has no other door. @throws ConfigError naming what is wrong */
function checkConfig(config: AppConfig): void {
  const issue = appConfig.safeParse(config).error?.issues[0];
  if (issue === undefined) return;
  throw new ConfigError(`config.${issue.path.join(".")}: ${issue.message}`, { app: config.app });
}
