import type { FunctionConfig } from "@eddy/schemas";

/** What events have as Eddy documents them. A sender may add fields beside, which the types of the SDK do not have. */
const FIELDS: readonly string[] = ["name", "id", "ts", "data", "user", "v"];

/** The `match` paths of a function that begin beside the documented fields of events: most often `data.` is missing. */
export function strayPaths({ cancelOn, waits }: FunctionConfig): readonly string[] {
  const paths = [...cancelOn, ...waits].flatMap(({ match }) => (match === null ? [] : [match]));
  return [...new Set(paths)].filter((path) => !FIELDS.includes(path.split(".", 1)[0] ?? ""));
}
