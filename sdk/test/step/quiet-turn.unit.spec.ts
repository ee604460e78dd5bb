import { describe, expect, it } from "vitest";
import { QuietTurn } from "../../src/step/quiet-turn.js";

function quietTurn() {
  const turns: (() => void)[] = [];
  const seen: boolean[] = [];
  const clock = { nowMs: () => 0, after: () => () => undefined, nextTurn: (turn: () => void) => void turns.push(turn) };
  const quiet = new QuietTurn(clock, () => seen.push(quiet.isEven));
  return { quiet, seen, turn: () => turns.shift()?.(), waiting: turns };
}

describe("a quiet turn", () => {
  it("comes after a whole turn in which nothing happened, once", () => {
    const { quiet, seen, turn, waiting } = quietTurn();
    quiet.touch();
    quiet.touch();
    expect(waiting).toHaveLength(1);
    turn();
    expect(seen).toEqual([]); // Touched twice: the turn was not quiet.
    quiet.touch();
    turn();
    expect(seen).toEqual([]);
    turn();
    expect(seen).toHaveLength(1);
    expect(waiting).toHaveLength(0);
  });

  it.each([
    ["a start answered by a step", "ga", true],
    ["a start answered by two steps", "gaa", true],
    ["a start answered by nothing", "g", false],
    ["two results answered by one step", "gga", false],
    ["steps replayed in a row", "gagaga", true],
    ["a surplus, which is no credit for what comes later", "gaaa|g", false],
    ["a debt that is paid later", "gg|aa", true],
    ["a debt that is paid in part", "ggg|a", false],
    ["a debt that a new invocation forgets", "gg|r|", true],
  ])("knows the balance: %s", (_, script, isEven) => {
    const { quiet, seen, turn, waiting } = quietTurn();
    const rest = (): void => {
      quiet.touch();
      while (waiting.length > 0) turn();
    };
    for (const c of script) {
      if (c === "g") quiet.got();
      else if (c === "a") quiet.asked();
      else if (c === "r") quiet.reset();
      else rest();
    }
    rest();
    expect(seen.at(-1)).toBe(isEven);
  });
});
