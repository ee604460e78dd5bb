/** What a sender's SDK says about its events, from the headers of `POST /e/:key`. */
import { RequestError, type GeneratedIds } from "@eddy/clients";

export { fieldPath, readEvents } from "@eddy/clients";

/** Says which ids the sender's SDK made by itself: `all`, or a JSON array of indexes into the events. */
export const GENERATED_IDS_HEADER = "x-eddy-generated-ids";

const NONE: ReadonlySet<number> = new Set();

/** @throws RequestError for anything but `all` or a JSON array of indexes below `count`. */
export function readGeneratedIds(header: string | readonly string[] | undefined, count: number): GeneratedIds {
  if (header === undefined) return NONE;
  if (header === "all") return "all";
  const indexes = typeof header === "string" ? parseIndexes(header, count) : null;
  if (indexes === null) {
    throw new RequestError(
      "INVALID_HEADER",
      `expected "all" or a JSON array of indexes from 0 to ${count - 1}`,
      GENERATED_IDS_HEADER,
    );
  }
  return new Set(indexes);
}

function parseIndexes(text: string, count: number): readonly number[] | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(parsed)) return null;
  const fits = (i: unknown): i is number => Number.isInteger(i) && (i as number) >= 0 && (i as number) < count;
  return parsed.every(fits) ? parsed : null;
}
