/** The only file of the SDK that reads environment variables. An empty one counts as absent. */
export interface Environment {
  readonly baseUrl: string;
  readonly eventKey: string;
  /** null: none is shown. */
  readonly token: string | null;
  /** Addresses with commas between; null: the gateway is used. */
  readonly kafkaBrokers: string | null;
  readonly namespace: string;
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
  };
}

function present(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === "" ? undefined : value.trim();
}
