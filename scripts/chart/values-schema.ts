/**
 * charts/eddy/values.schema.json: what may stand in the chart's values. `config` is the engine's own configuration, from
 * its schema; keys that the chart makes from other values are left out. A key that nobody knows is refused everywhere
 * but where Kubernetes' own objects stand, which kubeconform and the API server check.
 */
import { z } from "zod";
import { KAFKA_CONFIG_FIELDS } from "../../engine/src/config/kafka-config.js";

/** The chart makes these from `kafka`, `schemaRegistry`, `tokens`, `persistence`, `advertiseBy` and the container's port. */
const MADE_BY_THE_CHART: readonly string[] = [
  ...["brokers", "ssl", "sasl", "schemaRegistry"],
  ...["host", "port", "dataDir", "advertisedUrl", "tokensFile", "peerTokenFile"],
];

type Json = Record<string, unknown>;

/** An object of Kubernetes' own. */
const kubernetes = z.record(z.string(), z.unknown());
const kubernetesList = z.array(kubernetes);
const texts = z.record(z.string(), z.string());
const seconds = (min: number) => z.int().min(min).max(86_400);
const count = (min: number, max: number) => z.int().min(min).max(max);
const resources = z.strictObject({ requests: kubernetes, limits: kubernetes, claims: kubernetesList });
const pullPolicy = z.enum(["Always", "IfNotPresent", "Never"]);
/** Of a probe, without what it asks. */
const probe = z.strictObject({
  initialDelaySeconds: seconds(0),
  periodSeconds: seconds(1),
  timeoutSeconds: seconds(1),
  failureThreshold: count(1, 1_000),
  successThreshold: count(1, 100),
});
const sasl = z.strictObject({
  mechanism: z.enum(["", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer"]),
  existingSecret: z.string(),
  usernameKey: z.string().min(1),
  passwordKey: z.string().min(1),
  tokenEndpoint: z.string().regex(/^(https?:\/\/.+)?$/),
  scope: z.string(),
});
const monitor = z.strictObject({
  enabled: z.boolean(),
  labels: texts,
  interval: z.string(),
  scrapeTimeout: z.string(),
  relabelings: kubernetesList,
  metricRelabelings: kubernetesList,
});
const retention = z.enum(["Delete", "Retain"]);

const kafka = z.strictObject({
  brokers: z.array(z.string().regex(/^.+:\d{1,5}$/)),
  tls: z.strictObject({
    enabled: z.boolean(),
    existingSecret: z.string(),
    caKey: z.string(),
    certKey: z.string(),
    keyKey: z.string(),
  }),
  sasl,
});

const topics = z.strictObject({
  createBy: z.enum(["engine", "job"]),
  apps: z.array(z.string().min(1)),
  job: z.strictObject({ sasl, activeDeadlineSeconds: seconds(1), resources }),
});

const engines = {
  replicas: count(0, 4_096),
  advertiseBy: z.enum(["ip", "dns"]),
  persistence: z.strictObject({
    enabled: z.boolean(),
    storageClassName: z.string(),
    accessModes: z.array(z.string()).min(1),
    size: z.union([z.string(), z.int()]),
    annotations: texts,
    retentionPolicy: z.strictObject({ whenDeleted: retention, whenScaled: retention }),
  }),
  resources,
  terminationGracePeriodSeconds: seconds(1),
  preStopSleepSeconds: seconds(0),
  minReadySeconds: seconds(0),
  updateStrategy: kubernetes,
  podManagementPolicy: z.enum(["Parallel", "OrderedReady"]),
  revisionHistoryLimit: count(0, 100),
  probes: z.strictObject({ startup: probe, liveness: probe, readiness: probe }),
  podDisruptionBudget: z.strictObject({
    enabled: z.boolean(),
    maxUnavailable: z.union([z.int().min(1), z.string().regex(/^\d+%$/)]),
    unhealthyPodEvictionPolicy: z.enum(["AlwaysAllow", "IfHealthyBudget"]),
  }),
  topologySpreadConstraints: kubernetesList,
  affinity: kubernetes,
  nodeSelector: texts,
  tolerations: kubernetesList,
  priorityClassName: z.string(),
  podAnnotations: texts,
  podLabels: texts,
  extraEnv: kubernetesList,
  extraEnvFrom: kubernetesList,
  extraVolumes: kubernetesList,
  extraVolumeMounts: kubernetesList,
  extraObjects: kubernetesList,
  serviceAccount: z.strictObject({ create: z.boolean(), name: z.string(), annotations: texts }),
  podSecurityContext: kubernetes,
  securityContext: kubernetes,
};

const ways = {
  service: z.strictObject({
    type: z.enum(["ClusterIP", "NodePort", "LoadBalancer"]),
    port: count(1, 65_535),
    annotations: texts,
    loadBalancerSourceRanges: z.array(z.string()),
  }),
  ingress: z.strictObject({
    enabled: z.boolean(),
    className: z.string(),
    annotations: texts,
    hosts: z.array(z.string().min(1)),
    paths: z
      .array(
        z.strictObject({
          path: z.string().startsWith("/"),
          pathType: z.enum(["Prefix", "Exact", "ImplementationSpecific"]),
        }),
      )
      .min(1),
    tls: kubernetesList,
  }),
  httpRoute: z.strictObject({
    enabled: z.boolean(),
    annotations: texts,
    parentRefs: kubernetesList,
    hostnames: z.array(z.string().min(1)),
    matches: kubernetesList.min(1),
  }),
  networkPolicy: z.strictObject({
    enabled: z.boolean(),
    allowFrom: kubernetesList,
    egress: z.strictObject({ enabled: z.boolean(), kafkaTo: kubernetesList, extra: kubernetesList }),
  }),
  autoscaling: z.strictObject({
    minReplicas: count(1, 4_096),
    maxReplicas: count(1, 4_096),
    scaleDownSeconds: z.int().min(0).max(3_600),
    hpa: z.strictObject({
      enabled: z.boolean(),
      targetCPUUtilizationPercentage: count(0, 1_000),
      metrics: kubernetesList,
    }),
    keda: z.strictObject({
      enabled: z.boolean(),
      lagThreshold: z.int().min(1),
      pollingInterval: seconds(1),
      triggers: kubernetesList,
    }),
  }),
};

const metrics = z.strictObject({
  podMonitor: monitor,
  serviceMonitor: monitor,
  prometheusRule: z.strictObject({ enabled: z.boolean(), labels: texts }),
  dashboards: z.strictObject({ enabled: z.boolean(), labels: texts, annotations: texts, namespace: z.string() }),
});

const worker = z.strictObject({
  enabled: z.boolean(),
  replicas: count(0, 10_000),
  image: z.strictObject({ repository: z.string(), tag: z.string(), pullPolicy }),
  command: z.array(z.string()),
  args: z.array(z.string()),
  env: kubernetesList,
  envFrom: kubernetesList,
  terminationGracePeriodSeconds: seconds(1),
  resources,
  volumes: kubernetesList,
  volumeMounts: kubernetesList,
  podAnnotations: texts,
});

const values = z.strictObject({
  nameOverride: z.string(),
  fullnameOverride: z.string(),
  commonLabels: texts,
  // What a chart that has this one as a part hands to all its parts.
  global: kubernetes,
  image: z.strictObject({
    repository: z.string().min(1),
    tag: z.string(),
    digest: z.string().regex(/^(sha256:[0-9a-f]{64})?$/),
    pullPolicy,
    pullSecrets: kubernetesList,
  }),
  kafka,
  schemaRegistry: z.strictObject({
    url: z.string().regex(/^(https?:\/\/.+)?$/),
    existingSecret: z.string(),
    usernameKey: z.string().min(1),
    passwordKey: z.string().min(1),
  }),
  tokens: z.strictObject({
    existingSecret: z.string(),
    fileKey: z.string().min(1),
    peerKey: z.string().min(1),
  }),
  topics,
  ...engines,
  ...ways,
  metrics,
  worker,
  helmTest: z.strictObject({
    enabled: z.boolean(),
    app: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/),
    timeoutSeconds: seconds(1),
    envFrom: kubernetesList,
    resources,
  }),
});

/** @returns file name to text. */
export function valuesSchema(): ReadonlyMap<string, string> {
  const schema = withoutRequired(z.toJSONSchema(values, { target: "draft-7" })) as { properties: Json };
  schema.properties["config"] = configSchema();
  const text = JSON.stringify({ ...schema, title: "Values of the chart eddy" }, null, 2);
  return new Map([["values.schema.json", `${text}\n`]]);
}

/** Of the engine: as people write it, and numbers as numbers, which environment variables cannot have. */
function configSchema(): Json {
  const given = Object.entries(KAFKA_CONFIG_FIELDS).filter(([key]) => !MADE_BY_THE_CHART.includes(key));
  const properties = Object.fromEntries(
    given.map(([key, field]): [string, Json] => {
      const input = propertyOf(key, field, "input");
      return [key, isTextOrMore(input) ? propertyOf(key, field, "output") : firstOfFlag(input)];
    }),
  );
  return { type: "object", properties, additionalProperties: false };
}

function propertyOf(key: string, field: z.ZodType, io: "input" | "output"): Json {
  const options = { io, target: "draft-7", unrepresentable: "any" } as const;
  const { properties } = z.toJSONSchema(z.strictObject({ [key]: field }), options) as {
    properties: Record<string, Json>;
  };
  const { default: _, ...property } = properties[key] ?? {};
  return property;
}

/** A number that may be written as text. */
const isTextOrMore = ({ anyOf }: Json): boolean =>
  Array.isArray(anyOf) && anyOf.some((one: Json) => one["type"] === "number");

/** Of a flag, which may be written as text, the boolean; of all else, itself. */
function firstOfFlag(property: Json): Json {
  const { anyOf } = property;
  const flag = Array.isArray(anyOf) ? (anyOf as readonly Json[]).find(({ type }) => type === "boolean") : undefined;
  return flag ?? property;
}

/**
 * Helm checks values after it has merged the chart's own: nothing can be missing but what was set to null. Names of
 * properties are text in any case.
 */
function withoutRequired(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutRequired);
  if (typeof schema !== "object" || schema === null) return schema;
  const isNoise = ([key, value]: [string, unknown]): boolean =>
    key === "propertyNames" || (key === "required" && Array.isArray(value));
  const entries = Object.entries(schema).filter((entry) => !isNoise(entry));
  return Object.fromEntries(entries.map(([key, value]) => [key, withoutRequired(value)]));
}
