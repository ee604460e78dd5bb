/** Brokers in containers, where a Docker engine answers. Each listens on a fixed port of this machine's loopback. */
import { GenericContainer, Network, Wait, getContainerRuntimeClient } from "testcontainers";
import type { StartedNetwork, StartedTestContainer } from "testcontainers";
import { KAFKA_VERSION, ProviderUnusable, SECURE_LISTENER, commonProperties } from "./cluster.js";
import type { ClusterOptions, KafkaCluster, KafkaNode } from "./cluster.js";
import { freePorts } from "./free-ports.js";

const START_MS_MAX = 180_000;
const STARTED = "Kafka Server started";
/** Inside the network of the containers. */
const INTERNAL_PORT = 9_092;
const CONTROLLER_PORT = 9_093;

/** @throws ProviderUnusable when no Docker engine answers, or it cannot run the image: perhaps it cannot fetch it. */
export async function startDockerCluster(options: ClusterOptions): Promise<KafkaCluster> {
  const engine = await findEngine();
  options.print?.(`starting Apache Kafka ${KAFKA_VERSION} in containers`);
  const free = await freePorts(2 * options.nodes);
  const [ports, securePorts] = [free.slice(0, options.nodes), free.slice(options.nodes)];
  const network = await new Network().start().catch((error: unknown) => {
    throw new ProviderUnusable(`Docker made no network: ${textOf(error)}`);
  });
  const voters = ports.map((_, i) => `${i + 1}@${hostOf(i + 1)}:${CONTROLLER_PORT}`).join(",");
  const starting = ports.map((port, i) =>
    broker({ id: i + 1, port, securePort: securePorts[i] ?? 0, network, voters, nodes: options.nodes }).start(),
  );
  const settled = await Promise.allSettled(starting);
  const started = settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((container) => container.stop({ timeout: 0 })));
    await network.stop();
  };
  const failed = settled.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await stop();
    throw new ProviderUnusable(`a Kafka container did not start: ${textOf(failed.reason)}`);
  }
  const nodes = started.map((container, i) => dockerNode(engine, container, i + 1, ports[i] ?? 0));
  const brokers = nodes.map(({ address }) => address);
  const secureBrokers = securePorts.map((port) => `127.0.0.1:${port}`);
  return { origin: `Apache Kafka ${KAFKA_VERSION} in containers`, brokers, secureBrokers, nodes, stop };
}

type Engine = Awaited<ReturnType<typeof getContainerRuntimeClient>>;

async function findEngine(): Promise<Engine> {
  try {
    return await getContainerRuntimeClient();
  } catch (error) {
    throw new ProviderUnusable(`no Docker engine answers: ${textOf(error)}`);
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const hostOf = (id: number): string => `kafka-${id}`;

interface Place {
  readonly id: number;
  /** The same inside and outside, so that what the broker advertises is right. */
  readonly port: number;
  readonly securePort: number;
  readonly network: StartedNetwork;
  readonly voters: string;
  readonly nodes: number;
}

function broker({ id, port, securePort, network, voters, nodes }: Place): GenericContainer {
  const plain = ["OUTSIDE", "INSIDE", "CONTROLLER"].map((listener) => `${listener}:PLAINTEXT`);
  const secure = (host: string): string => `${SECURE_LISTENER}://${host}:${securePort}`;
  const properties = {
    ...commonProperties(nodes),
    "node.id": String(id),
    "controller.quorum.voters": voters,
    listeners: `OUTSIDE://:${port},${secure("")},INSIDE://:${INTERNAL_PORT},CONTROLLER://:${CONTROLLER_PORT}`,
    "advertised.listeners": [
      `OUTSIDE://127.0.0.1:${port}`,
      secure("127.0.0.1"),
      `INSIDE://${hostOf(id)}:${INTERNAL_PORT}`,
    ].join(),
    "listener.security.protocol.map": `${plain.join(",")},${SECURE_LISTENER}:SASL_PLAINTEXT`,
    "inter.broker.listener.name": "INSIDE",
    "controller.listener.names": "CONTROLLER",
  };
  const environment = Object.entries(properties).map(([key, value]) => [variableOf(key), value] as const);
  return new GenericContainer(`apache/kafka:${KAFKA_VERSION}`)
    .withNetwork(network)
    .withNetworkAliases(hostOf(id))
    .withExposedPorts(...[port, securePort].map((each) => ({ container: each, host: each })))
    .withEnvironment({ ...Object.fromEntries(environment), KAFKA_HEAP_OPTS: nodes === 1 ? "-Xmx256m" : "-Xmx160m" })
    .withWaitStrategy(Wait.forLogMessage(STARTED))
    .withStartupTimeout(START_MS_MAX);
}

/** The image's own rule for passing a property. */
const variableOf = (property: string): string => `KAFKA_${property.replaceAll(".", "_").toUpperCase()}`;

function dockerNode(engine: Engine, started: StartedTestContainer, id: number, port: number): KafkaNode {
  const container = engine.container.getById(started.getId());
  return {
    id,
    address: `127.0.0.1:${port}`,
    kill: async () => {
      await container.kill({ signal: "SIGKILL" });
      await container.wait();
    },
    pause: async () => {
      await container.pause();
    },
    resume: async () => {
      await container.unpause();
    },
    start: async () => {
      const sinceSeconds = Math.floor(Date.now() / 1_000);
      await container.start();
      await untilLogged(() => container.logs({ stdout: true, stderr: true, since: sinceSeconds }));
    },
  };
}

async function untilLogged(logs: () => Promise<Buffer>): Promise<void> {
  const giveUpAtMs = Date.now() + START_MS_MAX;
  while (!(await logs()).includes(STARTED)) {
    if (Date.now() > giveUpAtMs) throw new Error(`a Kafka container did not start within ${START_MS_MAX} ms`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
