/** What the log shows of an input that broke an invariant: the input, its moment, and the rows that it would read. */
import {
  runKey,
  type Core,
  type Input,
  type Moment,
  type ReadRequest,
  type Row,
  type RowKey,
  type RowView,
} from "../core/index.js";

/** Byte strings are users' data: their length is shown. The record itself stays in the inbox, the rows in the store. */
export function explain(core: Core, view: RowView, input: Input, moment: Moment): Record<string, unknown> {
  const rows = rowsOf();
  const { partition, offset } = moment;
  return { partition, offset, ...subjectOf(input, rows), moment, input: shown(input), rows: shownRows(rows) };

  function rowsOf(): WatchedView {
    const watching = new WatchedView(view);
    try {
      for (const request of core.readPlan(watching, input, moment)) watching.isLoaded(request);
    } catch (error) {
      watching.problem = error instanceof Error ? error.message : String(error);
    }
    return watching;
  }
}

/** Which run it is about, and of which function; where one is not known it is left out. */
function subjectOf(input: Input, { rows }: WatchedView): { readonly runId?: string; readonly functionId?: string } {
  const runId = runIdOf(input);
  if (runId === undefined) return {};
  const row = rows.get(runKey(runId)) as Row<"run"> | null | undefined;
  return { runId, ...(row == null ? {} : { functionId: row.functionId }) };
}

function runIdOf(input: Input): string | undefined {
  if (input.kind === "report") return input.report.runId;
  if (input.kind === "timerDue") return "runId" in input.timer.target ? input.timer.target.runId : undefined;
  return "runId" in input ? (input.runId ?? undefined) : undefined;
}

function shownRows({ rows, problem }: WatchedView): object {
  const all = Object.fromEntries([...rows].map(([key, row]) => [key, shown(row)]));
  return problem === null ? all : { problem, ...all };
}

/** Notes the rows that pass through it. */
class WatchedView implements RowView {
  readonly rows = new Map<string, Row | null>();
  /** Why not all were read. */
  problem: string | null = null;
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
