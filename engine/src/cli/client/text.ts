/**
 * Pieces of text for people. Whatever comes from events, functions or workers goes through `shown`: it may hold
 * characters that would move a terminal's cursor, change its colours, or write into its title.
 */

/** Control and formatting characters as escapes; one line. */
export function shown(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu, escaped);
}

const NAMED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return NAMED[character] ?? `\\u{${code.toString(16)}}`;
}

/** A JSON value on one line. */
export const jsonShown = (value: unknown): string => shown(JSON.stringify(value) ?? "");

/** Cuts to at most `max` characters, the last of which says that there was more. null: nothing is cut. */
export function cut(text: string, max: number | null): string {
  const characters = [...text];
  return max === null || characters.length <= max ? text : `${characters.slice(0, Math.max(0, max - 1)).join("")}…`;
}

/** To the second, in UTC: it may be given back with --since. */
export const timeShown = (iso: string): string => iso.replace(/\.\d+Z$/, "Z");

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** The two largest units: `3d 4h`, `1m 5s`, `1.25s`, `12ms`. */
export function durationShown(ms: number): string {
  if (ms < 0) return `-${durationShown(-ms)}`;
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${Number((ms / 1_000).toFixed(2))}s`;
  const first = UNITS.findIndex(([, unit]) => ms >= unit);
  const [name, unit] = UNITS[first] ?? ["s", 1_000];
  const next = UNITS[first + 1];
  const whole = `${Math.floor(ms / unit)}${name}`;
  const rest = next === undefined ? 0 : Math.floor((ms % unit) / next[1]);
  return rest === 0 ? whole : `${whole} ${rest}${next?.[0]}`;
}

/** Between two times as answers have them. */
export const tookShown = (from: string, to: string): string => durationShown(Date.parse(to) - Date.parse(from));
