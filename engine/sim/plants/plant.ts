/** What a planted bug is, and the ways to put one around the core. */
import type { Change, Core, Decision, Effect, Input, Moment, RowView } from "../../src/core/index.js";
import type { Sabotage } from "../cluster.js";
import type { Scenario } from "../scenario.js";

export interface Plant {
  readonly name: string;
  readonly summary: string;
  readonly sabotage?: Sabotage;
  readonly adjust?: (scenario: Scenario) => Scenario;
}

type Decided = Pick<Decision, "changes" | "effects"> & Partial<Decision>;

/** The core with another `decide`. */
export function deciding(core: Core, decide: (view: RowView, input: Input, moment: Moment) => Decided): Core {
  return { ...core, decide: (view, input, moment) => ({ rejections: [], ...decide(view, input, moment) }) };
}

/** The core without some of its changes. */
export function without(core: Core, ...kinds: readonly Change["kind"][]): Core {
  return changing(core, (change) => (kinds.includes(change.kind) ? null : change));
}

/** The core with other changes, or without those that become null. */
export function changing(
  core: Core,
  change: (
    change: Change,
    at: { readonly input: Input; readonly view: RowView; readonly moment: Moment },
  ) => Change | null,
): Core {
  return deciding(core, (view, input, moment) => {
    const { changes, effects, rejections } = core.decide(view, input, moment);
    return { changes: changes.flatMap((c) => change(c, { input, view, moment }) ?? []), effects, rejections };
  });
}

/** The core without some of its effects. */
export function withoutEffects(core: Core, isLost: (effect: Effect) => boolean): Core {
  return deciding(core, (view, input, moment) => {
    const { changes, effects, rejections } = core.decide(view, input, moment);
    return { changes, effects: effects.filter((effect) => !isLost(effect)), rejections };
  });
}

/** The core that is told something else. */
export function hearing(core: Core, heard: (input: Input) => Input): Core {
  return {
    ...core,
    readPlan: (view, input, moment) => core.readPlan(view, heard(input), moment),
    decide: (view, input, moment) => core.decide(view, heard(input), moment),
  };
}

/** The core that sees other rows than there are; what it changes is still applied to those that are there. */
export function seeing(core: Core, seen: (view: RowView, input: Input) => RowView): Core {
  return {
    ...core,
    readPlan: (view, input, moment) => core.readPlan(seen(view, input), input, moment),
    decide: (view, input, moment) => core.decide(seen(view, input), input, moment),
  };
}

/** A view with some of its answers replaced. */
export function viewOf(view: RowView, other: Partial<RowView>): RowView {
  return {
    get: (key) => view.get(key),
    indexValue: (key) => view.indexValue(key),
    scanIndex: (range) => view.scanIndex(range),
    pastEvents: (range) => view.pastEvents(range),
    isLoaded: (request) => view.isLoaded(request),
    ...other,
  };
}
