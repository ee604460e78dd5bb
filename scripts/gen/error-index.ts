/** docs/errors/README.md: the table of all error codes, from engine/src/errors/codes.ts. */
import { ERROR_CODES } from "../../engine/src/errors/codes.js";

/** @returns file name to text. */
export function errorIndex(): ReadonlyMap<string, string> {
  const rows = Object.entries(ERROR_CODES)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, { family, retriable, summary }]) =>
        `| [${code}](${code}.md) | ${family} | ${retriable ? "yes" : "no"} | ${summary} |`,
    );
  const text = [
    "# Error codes",
    "",
    "Written by `npm run gen` from `engine/src/errors/codes.ts`. Branch on `code`, never on text.",
    "",
    "| code | family | worth another try | |",
    "|---|---|---|---|",
    ...rows,
    "",
  ];
  return new Map([["README.md", text.join("\n")]]);
}
