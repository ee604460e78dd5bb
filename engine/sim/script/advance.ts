/**
 * Where a handler stands, by its nodes and its memo alone: the simulator's Promise.all, Promise.race and re-entry.
 *
 * Each walk has a time: the place in the memo of the last entry that it needed, -1 before the first. A race goes to the branch
 * with the earliest time, so that whoever replays the same memo finds the same winner.
 */
import type { MemoEntry } from "@eddy/schemas";
import type { AllNode, Memo, Node, RaceNode, RunNode, SendNode, SleepNode, WaitNode } from "./script.js";

export interface Blocked {
  readonly kind: "blocked";
  /** Steps that can run now, and what the engine must settle. Not both empty. */
  readonly runs: readonly (RunNode | SendNode)[];
  readonly requests: readonly (SleepNode | WaitNode)[];
}
interface Threw {
  readonly kind: "threw";
  readonly name: string;
  readonly message: string;
  readonly retriable: boolean;
}

export type Standing = ({ readonly kind: "returned"; readonly data: string } | Threw | Blocked) & {
  /** Waits and sleeps that lost a race and that the handler had asked for before. */
  readonly lost: readonly string[];
  /** Recorded steps that the code did not ask for on its way, in the order of the memo: it is not the code that made them. */
  readonly unasked: readonly string[];
};

type Walk =
  | { readonly kind: "done"; readonly trail: readonly string[]; readonly at: number }
  | (Threw & { readonly at: number })
  | Blocked;

const utf8 = new TextDecoder();

/** @param attempt failed attempts of the handler so far. The return value tells all that the handler saw. */
export function advance(nodes: readonly Node[], memo: Memo, attempt: number): Standing {
  const walker = new Walker(memo, attempt);
  const walk = walker.all(nodes);
  const lost = [...walker.lost].filter((id) => !memo.has(id));
  const unasked = [...memo.keys()].filter((id) => !walker.asked.has(id));
  if (walk.kind === "blocked") return { ...walk, lost, unasked };
  if (walk.kind === "done") return { kind: "returned", data: JSON.stringify(walk.trail), lost, unasked };
  const { kind, name, message, retriable } = walk;
  return { kind, name, message, retriable, lost, unasked };
}

/** A bug in the engine may give it what is no event: then what the handler returns says so. */
function eventIdIn(json: string): string {
  try {
    return (JSON.parse(json) as { readonly id: string }).id;
  } catch (error) {
    if (error instanceof SyntaxError) return "unreadable";
    throw error;
  }
}

class Walker {
  readonly asked = new Set<string>();
  readonly lost = new Set<string>();
  readonly #memo: Memo;
  readonly #attempt: number;
  readonly #places: ReadonlyMap<string, number>;

  constructor(memo: Memo, attempt: number) {
    this.#memo = memo;
    this.#attempt = attempt;
    this.#places = new Map([...memo.keys()].map((id, i) => [id, i]));
  }

  all(nodes: readonly Node[], from = -1): Walk {
    const trail: string[] = [];
    let at = from;
    for (const node of nodes) {
      const walk = this.#one(node, at);
      if (walk.kind !== "done") return walk;
      trail.push(...walk.trail);
      at = walk.at;
    }
    return { kind: "done", trail, at };
  }

  /** @param from when the handler came to it. */
  #one(node: Node, from: number): Walk {
    switch (node.kind) {
      case "throw": {
        if (this.#attempt >= node.times) return { kind: "done", trail: [], at: from };
        const message = `handler attempt ${this.#attempt}`;
        return { kind: "threw", name: "Error", message, retriable: node.retriable, at: from };
      }
      case "all":
        return this.#together(node, from);
      case "race":
        return this.#race(node, from);
      case "run":
      case "send":
        return this.#run(node, from);
      case "sleep": {
        const at = this.#ask(node.id, from);
        if (at === null) return { kind: "blocked", runs: [], requests: [node] };
        return { kind: "done", trail: [node.id], at };
      }
      case "wait":
        return this.#wait(node, from);
    }
  }

  /** @returns when the handler went on; null: it is not recorded. */
  #ask(id: string, from: number): number | null {
    this.asked.add(id);
    const place = this.#places.get(id);
    return place === undefined ? null : Math.max(from, place);
  }

  #run(node: RunNode | SendNode, from: number): Walk {
    const at = this.#ask(node.id, from);
    const entry = this.#memo.get(node.id);
    if (at === null || entry === undefined) return { kind: "blocked", runs: [node], requests: [] };
    if (entry.error === null) return { kind: "done", trail: [`${node.id}=${text(entry)}`], at };
    const { message } = entry.error;
    if (node.kind === "run" && node.caught) return { kind: "done", trail: [`${node.id}!${message}`], at };
    return { kind: "threw", name: "StepError", message, retriable: false, at };
  }

  #wait(node: WaitNode, from: number): Walk {
    const at = this.#ask(node.id, from);
    const entry = this.#memo.get(node.id);
    if (at === null || entry === undefined) return { kind: "blocked", runs: [], requests: [node] };
    const rest = this.all(entry.data === null ? node.onTimeout : node.onEvent, at);
    if (rest.kind !== "done") return rest;
    const got = entry.data === null ? "null" : eventIdIn(text(entry));
    return { ...rest, trail: [`${node.id}=${got}`, ...rest.trail] };
  }

  #together({ branches }: AllNode, from: number): Walk {
    const walks = branches.map((branch) => this.all(branch, from));
    const threw = earliest(walks.filter((walk) => walk.kind === "threw"));
    if (threw !== undefined) return threw;
    const blocked = blockedOf(walks);
    if (blocked !== null) return blocked;
    const done = walks.filter((walk) => walk.kind === "done");
    const at = Math.max(from, ...done.map((walk) => walk.at));
    return { kind: "done", trail: done.flatMap(({ trail }) => trail), at };
  }

  #race({ branches }: RaceNode, from: number): Walk {
    const walks = branches.map((branch) => this.all(branch, from));
    const winner = earliest(walks.filter((walk) => walk.kind !== "blocked"));
    if (winner === undefined) return blockedOf(walks) ?? { kind: "done", trail: [], at: from };
    for (const [i, walk] of walks.entries()) {
      const bare = bareOf(branches[i] ?? []);
      if (walk !== winner && bare !== null) this.lost.add(bare.id);
    }
    if (winner.kind === "threw") return winner;
    const place = walks.indexOf(winner);
    return { ...winner, trail: [`race ${place}`, ...winner.trail] };
  }
}

/** The one wait or sleep that a branch is, with nothing behind it. */
export function bareOf(branch: readonly Node[]): WaitNode | SleepNode | null {
  const [only, ...others] = branch;
  if (only === undefined || others.length > 0) return null;
  if (only.kind === "sleep") return only;
  return only.kind === "wait" && only.onEvent.length + only.onTimeout.length === 0 ? only : null;
}

function earliest<T extends { readonly at: number }>(walks: readonly T[]): T | undefined {
  return walks.reduce<T | undefined>(
    (best, walk) => (best === undefined || walk.at < best.at ? walk : best),
    undefined,
  );
}

function blockedOf(walks: readonly Walk[]): Blocked | null {
  const blocked = walks.filter((walk) => walk.kind === "blocked");
  if (blocked.length === 0) return null;
  return {
    kind: "blocked",
    runs: blocked.flatMap(({ runs }) => runs),
    requests: blocked.flatMap(({ requests }) => requests),
  };
}

function text(entry: MemoEntry): string {
  return entry.data === null ? "null" : utf8.decode(entry.data);
}
