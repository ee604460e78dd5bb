/** A gateway whose partitions do what a test tells them to. */
import { RequestError } from "../../../clients/src/errors/request-error.js";
import { NO_METER } from "../../../clients/src/ports/meter.js";
import { EventSender } from "../../../clients/src/send/event-sender.js";
import { Access, WatchedFiles } from "../../src/access/index.js";
import { PrometheusMeter } from "../../src/adapters/prometheus/index.js";
import { DevClock } from "../../src/gateway/dev-clock.js";
import { FunctionList } from "../../src/gateway/function-list.js";
import { type Arrival, Gateway, type GatewayDeps, type GatewayLimits } from "../../src/gateway/gateway.js";
import type { Readiness, Service } from "../../src/gateway/http-routes.js";
import { partitionClocks } from "../../src/gateway/partition-clocks.js";
import { Peers, type ConnectedWorkers, type PartitionReading } from "../../src/gateway/peers.js";
import { RoutedLookup, type Owners } from "../../src/gateway/routed-lookup.js";
import { RunCancel } from "../../src/gateway/run-cancel.js";
import type { HistorySource, HistorySources } from "../../src/history/history-lookup.js";
import { PARTITIONS, TOPICS, type World } from "./fixtures.js";

/** A partition task as the clock sees it: applies what it is told to. */
export class FakePartition {
  status: PartitionReading["status"] = "running";
  advanceMs = 0;
  processedOffset = -1;
}

/** All partitions are ours, unless a test says whose they are. */
export class FakeOwners implements Owners, HistorySources {
  readonly partitions = PARTITIONS;
  readonly fakes = Array.from({ length: PARTITIONS }, () => new FakePartition());
  /** By partition: undefined is ours, null nobody's. */
  readonly elsewhere = new Map<number, string | null>();
  histories: readonly HistorySource[] = [];

  isOurs(partition: number): boolean {
    return !this.elsewhere.has(partition);
  }
  ownerOf(partition: number): string | null {
    return this.elsewhere.get(partition) ?? null;
  }
  historyOf(partition: number): HistorySource | null {
    return this.isOurs(partition) ? (this.histories[partition] ?? null) : null;
  }
  readings(): readonly PartitionReading[] {
    const all = this.fakes.map(({ status, advanceMs, processedOffset }, partition) => {
      return { partition, status, advanceMs, processedOffset };
    });
    return all.filter(({ partition }) => this.isOurs(partition));
  }
}

/** Where nobody is asked for a token. */
export function openAccess(w: Pick<World, "clock" | "logger">): Access {
  return new Access({}, new WatchedFiles(w));
}
export const NO_LIMITS: GatewayLimits = {
  connectionsMax: 1_000,
  connectionsPerAddressMax: 1_000,
  requestsPerSecondMax: 0,
};

export interface GatewayOptions {
  readonly owners: FakeOwners;
  readonly namespace?: string;
  readonly dev?: boolean;
  readonly peers?: Peers;
  readonly arrival?: Arrival;
  readonly access?: Access;
  readonly limits?: Partial<GatewayLimits>;
  readonly isMetricsOpen?: boolean;
  readonly certificate?: GatewayDeps["certificate"];
  readonly gate?: GatewayDeps["gate"];
}

export class TestGateway {
  readonly gateway: Gateway;
  readonly devClock: DevClock;
  readonly meter = new PrometheusMeter();
  /** Connected to this gateway. */
  workers: ConnectedWorkers = [];
  readiness: Readiness = { ready: true, reasons: [] };
  isStarting = false;
  url = "";

  constructor(w: World, options: GatewayOptions) {
    const { owners, namespace = "test", dev = true, peers = new Peers(namespace), arrival } = options;
    const { access = openAccess(w), isMetricsOpen = true, certificate = null, gate = () => null } = options;
    let made = 0;
    const clocks = partitionClocks({ owners, peers });
    this.devClock = new DevClock({ ...w, topic: TOPICS.inbox, clocks, dev });
    const sender = new EventSender({
      ...w,
      meter: NO_METER,
      advanceMs: () => this.devClock.advanceMs,
      makeId: () => `made-${++made}`,
    });
    const lookup = new RoutedLookup({ owners, peers });
    const cancel = new RunCancel({ ...w, lookup });
    const functions = new FunctionList({ ...w, owners, peers, workersHere: () => this.workers });
    const service = { sender, devClock: this.devClock, clocks, lookup, cancel, functions, eventSchemas: null };
    this.gateway = new Gateway({
      ...w,
      namespace,
      service: () => this.#now(service),
      ...{ gate, access, isMetricsOpen, certificate },
      limits: { ...NO_LIMITS, ...options.limits },
      readiness: () => this.readiness,
      meter: this.meter,
      metrics: this.meter,
      ...(arrival === undefined ? {} : { arrival }),
    });
  }

  async listen(port = 0): Promise<string> {
    this.url = await this.gateway.listen({ host: "127.0.0.1", port });
    return this.url;
  }

  #now(service: Service): Service {
    if (this.isStarting) throw new RequestError("UNAVAILABLE", "waiting for the log");
    return service;
  }
}
