/**
 * Tables without lines. On a terminal they are as wide as it is at most: columns that may be cut give way, the widest
 * first. Elsewhere nothing is cut. Rows may come in several parts: the first one decides the widths on a terminal.
 */
import CliTable from "cli-table3";
import stringWidth from "string-width";
import type { Terminal } from "./terminal.js";

export interface Column {
  readonly title: string;
  /** What cannot be used when it is cut (an id) is not. */
  readonly mayBeCut?: boolean;
}

const GAP = 2;
const WIDTH_MIN = 8;
const NO_LINES = Object.fromEntries(
  [
    ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"],
    ...["left", "left-mid", "mid", "mid-mid", "right", "right-mid", "middle"],
  ].map((name) => [name, ""]),
);

export class Table {
  readonly #columns: readonly Column[];
  readonly #terminal: Pick<Terminal, "columns" | "colors">;
  #widths: readonly number[] | null = null;

  constructor(columns: readonly Column[], terminal: Pick<Terminal, "columns" | "colors">) {
    this.#columns = columns;
    this.#terminal = terminal;
  }

  /** @returns lines, each with its end; those of the first part begin with the titles. */
  render(rows: readonly (readonly string[])[]): string {
    const titles = this.#columns.map(({ title }) => this.#terminal.colors.dim(title));
    const lines = this.#widths === null ? [titles, ...rows] : rows;
    const { columns } = this.#terminal;
    // Beyond a terminal, each part is as wide as it needs to be.
    if (this.#widths === null || columns === null) this.#widths = this.#fit([titles, ...rows], columns);
    const style = { head: [], border: [], "padding-left": 0, "padding-right": GAP, compact: true };
    const table = new CliTable({ chars: NO_LINES, style, colWidths: this.#widths.map((width) => width + GAP) });
    table.push(...lines.map((line) => [...line]));
    if (lines.length === 0) return "";
    return table
      .toString()
      .split("\n")
      .map((line) => `${line.trimEnd()}\n`)
      .join("");
  }

  #fit(lines: readonly (readonly string[])[], columns: number | null): readonly number[] {
    const widths = this.#columns.map((_, i) => Math.max(...lines.map((line) => stringWidth(line[i] ?? ""))));
    if (columns === null) return widths;
    // The last column's gap is trimmed.
    const excess = (): number => widths.reduce((sum, width) => sum + width + GAP, -GAP) - columns;
    while (excess() > 0) {
      const widest = this.#widestToCut(widths);
      if (widest === null) break;
      widths[widest] = (widths[widest] ?? 0) - 1;
    }
    return widths;
  }

  #widestToCut(widths: readonly number[]): number | null {
    let widest: number | null = null;
    for (const [i, { mayBeCut }] of this.#columns.entries()) {
      const width = widths[i] ?? 0;
      if (mayBeCut !== true || width <= WIDTH_MIN) continue;
      if (widest === null || width > (widths[widest] ?? 0)) widest = i;
    }
    return widest;
  }
}
