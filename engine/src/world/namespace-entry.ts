/**
 * What is fixed when a namespace is made stands in its registry, written by its first engine: everybody who takes part
 * reads it there. The first entry counts, whoever comes later has to fit.
 */
import { encodeRegistry } from "@eddy/schemas";
import type { Clock, Log, Namespace, RegistryView } from "@eddy/clients";
import { ClosedError, ConfigError } from "@eddy/clients/errors";

export interface NamespaceEntryDeps {
  readonly log: Log;
  readonly clock: Clock;
  /** Name of the registry topic. */
  readonly topic: string;
  /** Caught up. */
  readonly registry: RegistryView;
  /** Its name, for people. */
  readonly name: string;
  /** Aborted: the engine is closing. */
  readonly signal: AbortSignal;
}

const LOOK_AGAIN_MS = 10;

/**
 * Makes the entry where there is none. May be called again where it threw a TransientError.
 * `settleMs` may be another than the one wanted: all go by the first.
 * @throws ConfigError where the namespace was made with other partitions or `dev`; ClosedError once `signal` aborts
 */
export async function agreeOnNamespace(deps: NamespaceEntryDeps, wanted: Namespace): Promise<void> {
  const { log, clock, topic, registry, name, signal } = deps;
  const write = ({ partitions, dev, settleMs }: Namespace): Promise<unknown> =>
    log.append(topic, 0, [
      { key: "namespace", value: encodeRegistry({ kind: "namespace", partitions, dev, settleMs }) },
    ]);
  const isNew = registry.namespace === null;
  if (isNew) await write(wanted);
  while (registry.namespace === null) {
    if (registry.failure !== null) throw registry.failure;
    if (signal.aborted) throw new ClosedError("the engine is closing");
    await clock.sleep(LOOK_AGAIN_MS, signal);
  }
  const found = registry.namespace;
  const fits = found.partitions === wanted.partitions && found.dev === wanted.dev;
  // Somebody was faster. Compaction keeps the newest entry: it has to say what the first one said.
  if (isNew && !(fits && found.settleMs === wanted.settleMs)) await write(found);
  if (fits) return;
  throw new ConfigError(mismatch(name, found, wanted), { namespace: name, found, wanted });
}

function mismatch(name: string, found: Namespace, wanted: Namespace): string {
  const made = `namespace ${name} was made with partitions: ${found.partitions} and dev: ${found.dev}`;
  const asked = `this engine has partitions: ${wanted.partitions} and dev: ${wanted.dev}`;
  return `${made}, ${asked}; neither can be changed: configure what it was made with, or choose another namespace`;
}
