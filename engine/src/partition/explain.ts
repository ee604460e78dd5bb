/** What the log shows of an input that broke an invariant: the input, its moment, and the rows that it would read. */
import type { Core, Input, Moment, ReadRequest, Row, RowKey, RowView } from "../core/index.js";

/** Byte strings are users' data: their length is shown. The record itself stays in the inbox, the rows in the store. */
export function explain(core: Core, view: RowView, input: Input, moment: Moment): Record<string, unknown> {
  return { partition: moment.partition, offset: moment.offset, moment, input: shown(input), rows: rowsOf() };

  function rowsOf(): unknown {
    const watching = new WatchedView(view);
    try {
      for (const request of core.readPlan(watching, input, moment)) watching.isLoaded(request);
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error), ...shownRows(watching) };
    }
    return shownRows(watching);
  }
}

function shownRows(view: WatchedView): object {
  return Object.fromEntries([...view.rows].map(([key, row]) => [key, shown(row)]));
}

/** Notes the rows that pass through it. */
class WatchedView implements RowView {
  readonly rows = new Map<string, Row | null>();
  constructor(private readonly view: RowView) {}

  get(key: RowKey): never {
    const row = this.view.get(key);
    this.rows.set(key, row);
    return row as never; // the key carries the kind
  }
  indexValue(key: string): string | null {
    return this.view.indexValue(key);
  }
  scanIndex(range: Parameters<RowView["scanIndex"]>[0]): ReturnType<RowView["scanIndex"]> {
    return this.view.scanIndex(range);
  }
  pastEvents(range: Parameters<RowView["pastEvents"]>[0]): ReturnType<RowView["pastEvents"]> {
    return this.view.pastEvents(range);
  }
  isLoaded(request: ReadRequest): boolean {
    const loaded = this.view.isLoaded(request);
    if (loaded && request.kind === "row") this.get(request.key);
    return loaded;
  }
}

function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) return `<${value.length} bytes>`;
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shown(inner)]));
}
