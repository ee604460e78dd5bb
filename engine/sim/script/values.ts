/** Values in simulated events, and how a handler makes the data of the events that it sends itself. */
export type Scalar = string | number | boolean | null;

/** What becomes a field of `data`: what the triggering event has at a path, or a constant. */
export type Draft = { readonly path: string } | { readonly const: Scalar };
export type DataDraft = Readonly<Record<string, Draft>>;

export const EVENT_DATA = {
  /** Reads a dotted path. @returns undefined where it does not lead. */
  at(event: unknown, path: string): unknown {
    let at = event;
    for (const part of path.split(".")) {
      if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
      at = (at as Record<string, unknown>)[part];
    }
    return at;
  },

  /** @param event the one that started the run. */
  of(draft: DataDraft, event: unknown): Record<string, unknown> {
    const data: Record<string, unknown> = {};
    for (const [field, from] of Object.entries(draft)) {
      data[field] = "path" in from ? EVENT_DATA.at(event, from.path) : from.const;
    }
    return data;
  },
};
