/** What commands that talk to an engine take from the environment. Options of the command line win over it. */
export interface ClientEnvironment {
  /** EDDY_BASE_URL; null: not given. */
  readonly baseUrl: string | null;
  /** EDDY_EVENT_KEY; null: not given. */
  readonly eventKey: string | null;
  /** EDDY_TOKEN; null: not given. */
  readonly token: string | null;
  /** NO_COLOR is set, or the terminal says that it is a dumb one. */
  readonly plain: boolean;
}

export const DEFAULT_BASE_URL = "http://127.0.0.1:8288";
export const DEFAULT_EVENT_KEY = "dev";

export function readClientEnvironment(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ClientEnvironment {
  const present = (name: string): string | null => (environment[name] === "" ? null : (environment[name] ?? null));
  return {
    baseUrl: present("EDDY_BASE_URL"),
    eventKey: present("EDDY_EVENT_KEY"),
    token: present("EDDY_TOKEN"),
    plain: present("NO_COLOR") !== null || environment["TERM"] === "dumb",
  };
}
