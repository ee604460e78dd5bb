/** All sources of an engine, with what they share, and their gauges. */
import type { GaugeBoard, GaugeRow } from "@eddy/clients";
import { invariant } from "@eddy/clients/errors";
import type { SchemaRegistryConfig, SourceConfig } from "../config/source-config.js";
import { decodeCloudEvent } from "./cloud-events.js";
import { parseJson, type Decode } from "./decoded.js";
import { RegistryDecoder } from "./registry-decoder.js";
import { Source, type SourceDeps } from "./source.js";

export interface SourcesDeps extends Omit<SourceDeps, "config" | "decode"> {
  readonly sources: readonly SourceConfig[];
  readonly schemaRegistry?: SchemaRegistryConfig | undefined;
}

/** How long ends of partitions are waited for, in ms: whoever asks for metrics waits for all of them. */
const ENDS_MS_MAX = 1_000;

export class Sources {
  readonly #deps: SourcesDeps;
  readonly #sources: readonly Source[];
  /** By topic and partition: what the log said last. */
  readonly #ends = new Map<string, number>();
  readonly #asking = new Set<string>();

  constructor(deps: SourcesDeps) {
    this.#deps = deps;
    const registry = deps.schemaRegistry === undefined ? null : new RegistryDecoder(deps.schemaRegistry);
    this.#sources = deps.sources.map((config) => new Source({ ...deps, config, decode: decoderOf(config, registry) }));
  }

  start(): void {
    for (const source of this.#sources) source.start();
  }

  /** Leaves the groups; resolves when nothing is under way. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.stop()));
  }

  /** Resolves soon, whatever the log does. Never rejects. */
  async tell(board: GaugeBoard): Promise<void> {
    await this.#learnEnds();
    const nowMs = this.#deps.clock.nowMs();
    const rows = (value: (source: Source) => number): readonly GaugeRow[] =>
      this.#sources.map((source) => ({ labels: { source: source.topic }, value: value(source) }));
    board.gauges(
      "eddy_source_up",
      rows(({ trouble }) => (trouble === null ? 1 : 0)),
    );
    board.gauges(
      "eddy_source_partitions",
      rows(({ works }) => works.length),
    );
    board.gauges(
      "eddy_source_lag_records",
      rows((source) => this.#lags(source).reduce((sum, { records }) => sum + records, 0)),
    );
    board.gauges(
      "eddy_source_lag_seconds",
      rows((source) => Math.max(0, ...this.#lags(source).map(({ sinceMs }) => (nowMs - sinceMs) / 1_000))),
    );
  }

  /** Of the partitions that are behind. */
  #lags(source: Source): readonly { readonly records: number; readonly sinceMs: number }[] {
    return source.works.flatMap(({ partition, nextOffset, freshAtMs }) => {
      const end = this.#ends.get(placeOf(source, partition));
      if (end === undefined || nextOffset === null || end <= nextOffset) return [];
      return [{ records: end - nextOffset, sinceMs: freshAtMs }];
    });
  }

  async #learnEnds(): Promise<void> {
    const done = new AbortController();
    const late = this.#deps.clock.sleep(ENDS_MS_MAX, done.signal);
    const asked = this.#sources.flatMap((source) => source.works.map((work) => this.#learnEnd(source, work.partition)));
    await Promise.race([Promise.all(asked), late]);
    done.abort();
  }

  /** One question at a time: a log that does not answer is not asked more and more. */
  async #learnEnd(source: Source, partition: number): Promise<void> {
    const { log, logger } = this.#deps;
    const { topic } = source;
    const place = placeOf(source, partition);
    if (this.#asking.has(place)) return;
    this.#asking.add(place);
    try {
      this.#ends.set(place, (await log.offsets(topic, partition)).end);
    } catch (err) {
      logger.debug({ err, topic, partition }, "the end of a source's partition is not known; its lag is as of before");
    } finally {
      this.#asking.delete(place);
    }
  }
}

function placeOf({ topic }: Source, partition: number): string {
  return `${topic}/${partition}`;
}

function decoderOf({ format }: SourceConfig, registry: RegistryDecoder | null): Decode {
  if (format === "json") return parseJson;
  if (format === "cloudevents") return decodeCloudEvent;
  invariant(registry !== null, "the configuration has a registry where a format needs one", { format });
  return registry.decode(format);
}
