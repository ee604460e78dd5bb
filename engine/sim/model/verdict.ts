/** What the judge found. */
export interface Violation {
  /** The promise of DESIGN.md section 1 that is broken, or "liveness", "effects", "state", "internal". */
  readonly promise: string;
  readonly partition: number | null;
  readonly offset: number | null;
  readonly runId: string | null;
  readonly text: string;
}

/** A seed that breaks one thing breaks a hundred; the first ones tell. */
const VIOLATIONS_MAX = 50;
/** Results of steps may be long; the beginnings tell. */
const TEXT_CHARS_MAX = 2_000;

export class Verdict {
  readonly violations: Violation[] = [];

  get ok(): boolean {
    return this.violations.length === 0;
  }

  add(promise: string, text: string, at: { partition?: number; offset?: number; runId?: string } = {}): void {
    if (this.violations.length >= VIOLATIONS_MAX) return;
    const { partition = null, offset = null, runId = null } = at;
    const short = text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX)}…`;
    this.violations.push({ promise, partition, offset, runId, text: short });
  }
}

export function describe({ promise, partition, offset, runId, text }: Violation): string {
  const where = [
    partition === null ? "" : `partition ${partition}`,
    offset === null ? "" : `offset ${offset}`,
    runId === null ? "" : `run ${runId.slice(0, 8)}`,
  ].filter((part) => part !== "");
  return `${promise}: ${text}${where.length === 0 ? "" : ` (${where.join(", ")})`}`;
}
