/**
 * Loads what `decide` will read: for many inputs at once, in rounds of one multi-get each. Results are large: they are
 * loaded for one input alone, right before it is decided, so that those of many never lie in memory together.
 */
import { isKind, READ_ROUNDS_MAX, type Core, type Input, type Moment, type ReadRequest } from "../core/index.js";
import { invariant } from "@eddy/clients/errors";
import type { Overlay } from "./overlay.js";

export interface Planned {
  readonly input: Input;
  readonly moment: Moment;
}

export class Prefetch {
  readonly #core: Core;
  readonly #overlay: Overlay;

  constructor(core: Core, overlay: Overlay) {
    this.#core = core;
    this.#overlay = overlay;
  }

  /** @returns null when everything is there already, which costs no turn of the event loop. */
  load(planned: readonly Planned[]): Promise<void> | null {
    const isAlone = planned.length === 1;
    const round = this.#plan(planned, isAlone);
    return round.requests.length === 0 ? null : this.#rounds(round, isAlone);
  }

  async #rounds(first: Round, isAlone: boolean): Promise<void> {
    let round = first;
    for (let n = 1; round.requests.length > 0; n++) {
      invariant(n <= READ_ROUNDS_MAX, `a read plan ends within ${READ_ROUNDS_MAX} rounds`, {
        inputs: round.open.map(({ input }) => input.kind),
        requests: round.requests.slice(0, 10),
      });
      await this.#overlay.load(round.requests);
      round = this.#plan(round.open, isAlone);
    }
  }

  #plan(planned: readonly Planned[], isAlone: boolean): Round {
    const requests: ReadRequest[] = [];
    const open: Planned[] = [];
    for (const item of planned) {
      const before = requests.length;
      for (const request of this.#core.readPlan(this.#overlay, item.input, item.moment)) {
        if (!isAlone && request.kind === "row" && isKind(request.key, "result")) continue;
        if (!this.#overlay.isLoaded(request)) requests.push(request);
      }
      if (requests.length > before) open.push(item);
    }
    return { requests, open };
  }
}

interface Round {
  readonly requests: readonly ReadRequest[];
  /** Inputs that something is missing for. */
  readonly open: readonly Planned[];
}
