/** The only file of the SDK that reads environment variables. An empty one counts as absent. */
export interface Environment {
  readonly baseUrl: string;
  readonly eventKey: string;
}

export const DEFAULT_BASE_URL = "http://127.0.0.1:8288";
export const DEFAULT_EVENT_KEY = "dev";

export function readEnvironment(env: Readonly<Record<string, string | undefined>> = process.env): Environment {
  return {
    baseUrl: present(env["EDDY_BASE_URL"]) ?? DEFAULT_BASE_URL,
    eventKey: present(env["EDDY_EVENT_KEY"]) ?? DEFAULT_EVENT_KEY,
  };
}

function present(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === "" ? undefined : value.trim();
}
