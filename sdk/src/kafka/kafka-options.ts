/** Where Kafka is, and which namespace of it is meant. */
import { slug } from "@eddy/schemas";
import type { KafkaLogOptions } from "@eddy/clients/kafka";
import { readEnvironment } from "../define/environment.js";
import { DefinitionError } from "../errors/eddy-error.js";

const CLIENT_ID = "eddy-js";

/** Where Kafka is, and which namespace of it. */
export interface KafkaOptions {
  /** Bootstrap addresses: `["a:9092", "b:9092"]` or `"a:9092,b:9092"`. */
  readonly brokers: string | readonly string[];
  /** As the engines' configuration has it. Default: the environment's EDDY_NAMESPACE, else "default". */
  readonly namespace?: string | undefined;
  /** true, or options of Node's `tls.connect`. Default: no TLS. */
  readonly ssl?: KafkaLogOptions["ssl"];
  /** As kafkajs takes it: `{ mechanism: "scram-sha-512", username, password }`. Default: none. */
  readonly sasl?: KafkaLogOptions["sasl"];
  /** Shown in the brokers' logs and quotas. Default: `eddy-js`. */
  readonly clientId?: string | undefined;
}

/** The same, checked and complete. */
export interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly namespace: string;
  readonly ssl: KafkaLogOptions["ssl"];
  readonly sasl: KafkaLogOptions["sasl"];
  readonly clientId: string;
}

/** @throws DefinitionError CLIENT_INVALID naming the option. */
export function readKafkaOptions(given: KafkaOptions): KafkaSettings {
  const list: unknown = typeof given.brokers === "string" ? given.brokers.split(",") : given.brokers;
  const brokers = Array.isArray(list) ? list.map((each) => String(each).trim()).filter((each) => each !== "") : [];
  if (brokers.length === 0) throw invalid("brokers", "expected host:port, or a list of them");
  for (const broker of brokers) {
    if (!/^.+:\d{1,5}$/.test(broker)) throw invalid("brokers", `expected host:port, got ${JSON.stringify(broker)}`);
  }
  const namespace = slug.safeParse(given.namespace ?? readEnvironment().namespace);
  if (!namespace.success) throw invalid("namespace", namespace.error.issues[0]?.message ?? "is not valid");
  const { ssl, sasl, clientId } = given;
  return { brokers, namespace: namespace.data, ssl, sasl, clientId: clientId ?? CLIENT_ID };
}

function invalid(field: string, message: string): DefinitionError {
  const path = `kafka.${field}`;
  return new DefinitionError("CLIENT_INVALID", `${path}: ${message}`, { path });
}
