/** The only file of the SDK that reads environment variables. An empty one counts as absent. */
export interface Environment {
  readonly baseUrl: string;
  readonly eventKey: string;
  /** null: none is shown. */
  readonly token: string | null;
  /** Addresses with commas between; null: the gateway is used. */
  readonly kafkaBrokers: string | null;
  readonly namespace: string;
  /** null: there is none. */
  readonly schemaRegistry: { readonly url: string; readonly username?: string; readonly password?: string } | null;
}

export const DEFAULT_BASE_URL = "http://127.0.0.1:8288";
export const DEFAULT_EVENT_KEY = "dev";
export const DEFAULT_NAMESPACE = "default";

export function readEnvironment(env: Readonly<Record<string, string | undefined>> = process.env): Environment {
  return {
    baseUrl: present(env["EDDY_BASE_URL"]) ?? DEFAULT_BASE_URL,
    eventKey: present(env["EDDY_EVENT_KEY"]) ?? DEFAULT_EVENT_KEY,
    token: present(env["EDDY_TOKEN"]) ?? null,
    kafkaBrokers: present(env["EDDY_KAFKA_BROKERS"]) ?? null,
    namespace: present(env["EDDY_NAMESPACE"]) ?? DEFAULT_NAMESPACE,
    schemaRegistry: schemaRegistryOf(env),
  };
}

function schemaRegistryOf(env: Readonly<Record<string, string | undefined>>): Environment["schemaRegistry"] {
  const url = present(env["EDDY_SCHEMA_REGISTRY_URL"]);
  const username = present(env["EDDY_SCHEMA_REGISTRY_USERNAME"]);
  const password = present(env["EDDY_SCHEMA_REGISTRY_PASSWORD"]);
  if (url === undefined) return null;
  return { url, ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) };
}

function present(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === "" ? undefined : value.trim();
}
