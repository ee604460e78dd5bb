/** What the cluster test brings along: a Kafka of one broker, and the code of a shop's workers. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { KAFKA_VERSION } from "../../scripts/kafka/cluster.js";

const KAFKA_PORT = 9_092;
const CONTROLLER_PORT = 9_093;
const KAFKA = "kafka";
const labels = { app: KAFKA };

/** Its address inside of the cluster. */
export const brokerAddress = (namespace: string): string => `${KAFKA}.${namespace}.svc:${KAFKA_PORT}`;
export const KAFKA_ROLLOUT = `statefulset/${KAFKA}`;

export function kafkaManifests(namespace: string): readonly object[] {
  const settings: Readonly<Record<string, string>> = {
    KAFKA_NODE_ID: "1",
    KAFKA_PROCESS_ROLES: "broker,controller",
    KAFKA_LISTENERS: `PLAINTEXT://:${KAFKA_PORT},CONTROLLER://:${CONTROLLER_PORT}`,
    KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://${brokerAddress(namespace)}`,
    KAFKA_CONTROLLER_LISTENER_NAMES: "CONTROLLER",
    KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    KAFKA_CONTROLLER_QUORUM_VOTERS: `1@localhost:${CONTROLLER_PORT}`,
    KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: "1",
    KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: "1",
    KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: "1",
    KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: "0",
    KAFKA_LOG_DIRS: "/data/kafka",
  };
  const container = {
    name: KAFKA,
    image: `apache/kafka:${KAFKA_VERSION}`,
    env: Object.entries(settings).map(([name, value]) => ({ name, value })),
    ports: [{ containerPort: KAFKA_PORT }],
    readinessProbe: { tcpSocket: { port: KAFKA_PORT }, periodSeconds: 2 },
    volumeMounts: [{ name: "data", mountPath: "/data" }],
  };
  const claim = {
    metadata: { name: "data" },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "2Gi" } } },
  };
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: KAFKA },
      spec: { clusterIP: "None", publishNotReadyAddresses: true, selector: labels, ports: [{ port: KAFKA_PORT }] },
    },
    {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name: KAFKA },
      spec: {
        serviceName: KAFKA,
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { securityContext: { fsGroup: 1000 }, containers: [container] } },
        volumeClaimTemplates: [claim],
      },
    },
  ];
}

const WORKER = `
import { connect, Eddy } from "@eddy/sdk";
import { APP, shopFunctions } from "./flow.mjs";

const client = new Eddy({ id: APP });
// The test reads the workers' logs.
const ledger = { write: (entry) => console.log(JSON.stringify(entry)) };
const functions = shopFunctions(client, ledger, process.env.SHOP_TIMEOUT, 100);
const worker = await connect({ apps: [{ client, functions }], slots: 200 });
await worker.closed;
process.exit(0);
`;

/** The functions of the fault tests, word for word, as modules for the image. */
export function workerCode(): Readonly<Record<string, string>> {
  const source = readFileSync(join(import.meta.dirname, "../drills/flow.ts"), "utf8");
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
  });
  return { "flow.mjs": outputText, "worker.mjs": WORKER.trimStart() };
}

export const WORKER_CONFIG_MAP = "shop-worker";
export const workerConfigMap = (): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: WORKER_CONFIG_MAP },
  data: workerCode(),
});

/** For the chart: two of these workers. Below /app, so that they find the image's SDK. */
export const workerValues = (timeoutMs: number): object => ({
  enabled: true,
  replicas: 2,
  args: ["/app/shop/worker.mjs"],
  env: [{ name: "SHOP_TIMEOUT", value: `${timeoutMs}ms` }],
  volumes: [{ name: "shop", configMap: { name: WORKER_CONFIG_MAP } }],
  volumeMounts: [{ name: "shop", mountPath: "/app/shop", readOnly: true }],
});
