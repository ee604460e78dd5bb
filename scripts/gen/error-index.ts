/** docs/errors/README.md: the tables of all error codes, from the engine's sources. */
import { ERROR_CODES } from "../../clients/src/errors/codes.js";
import { REQUEST_CODES } from "../../clients/src/errors/request-error.js";

/** @returns file name to text. */
export function errorIndex(): ReadonlyMap<string, string> {
  const rows = Object.entries(ERROR_CODES)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, { family, retriable, summary }]) =>
        `| [${code}](${code}.md) | ${family} | ${retriable ? "yes" : "no"} | ${summary} |`,
    );
  const answers = Object.entries(REQUEST_CODES).map(
    ([code, { status, summary }]) => `| ${code} | ${status} | ${status === 503 ? "yes" : "no"} | ${summary} |`,
  );
  const text = [
    "# Error codes",
    "",
    "Written by `npm run gen` from `clients/src/errors/codes.ts` and `clients/src/errors/request-error.ts`.",
    "Branch on `code`, never on text.",
    "",
    "## Of the engine: in its log, and as its last line when it cannot start",
    "",
    "| code | family | worth another try | |",
    "|---|---|---|---|",
    ...rows,
    "",
    "## Of the gateway: in the body of its answers, as `error.code`",
    "",
    "| code | status | worth another try | |",
    "|---|---|---|---|",
    ...answers,
    "",
  ];
  return new Map([["README.md", text.join("\n")]]);
}
