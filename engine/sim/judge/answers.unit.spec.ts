/** What the judge makes of answers to workers that asked for a run's state. */
import { Routes, type InboxRecord, type MemoEntry, type RegisteredApp } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { askTask } from "../actors/engine-process.js";
import type { Answer } from "../actors/facts.js";
import { copiesOf } from "../actors/send.js";
import { PartitionModel } from "../model/partition-model.js";
import { Verdict } from "../model/verdict.js";
import { judgeAnswers } from "./answers.js";

const NO_ORACLE = { requestIndex: () => null, retryAtMs: () => undefined };
const app: RegisteredApp = {
  ...{ app: "shop", version: 1, digest: "", anchors: [], learned: [], retired: [], former: [] },
  functions: [
    { id: "nap", name: "nap", triggers: [{ event: "start", if: null }], cancelOn: [], waits: [], retries: 0 },
  ],
};

/**
 * A run of two naps: invocation 1 from offset 1, 2 from offset 3 with one step, 3 from offset 5 with two, over at 6.
 */
function napping(): { readonly model: PartitionModel; readonly runId: string; readonly memo: readonly MemoEntry[] } {
  const model = new PartitionModel({ partition: 0, partitions: 1 }, NO_ORACLE, new Verdict());
  let offset = 0;
  const apply = (record: InboxRecord): void => model.apply(offset, 1_000 * ++offset, record);
  const event = { id: "e1", idFrom: "user", name: "start", ts: 0, data: {} } as const;
  const source = { partition: 0, offset: 0, index: 0 };
  apply({ kind: "registered", config: app, news: [], settleMs: 0, source });
  apply(copiesOf(event, { fromMs: 0, apps: [app], routes: new Routes([app]), version: 1 }, 1).record);
  const [runId = ""] = [...model.runs.keys()];
  for (const invocation of [1, 2]) {
    const nap = { kind: "sleepRequested", stepId: `nap${invocation}`, until: { ms: 1 } } as const;
    apply({ kind: "report", report: { runId, invocation, ops: [nap], outcome: { kind: "suspended" } } });
    apply({ kind: "tick" });
  }
  const memo = [...(model.runs.get(runId)?.memo.values() ?? [])];
  apply({ kind: "cancel", runId, reason: "enough" });
  return { model, runId, memo };
}

function problemsOf(
  given: Pick<Answer, "invocation" | "fromOffset" | "toOffset"> & { steps: number | null },
): string[] {
  const { model, runId, memo } = napping();
  const verdict = new Verdict();
  const answer = { ...given, runId, memo: given.steps === null ? null : memo.slice(0, given.steps) };
  judgeAnswers(model, [answer], verdict);
  return verdict.violations.map(({ text }) => text);
}

describe("an answer", () => {
  it("is right as of one moment between question and answer", () => {
    expect(problemsOf({ invocation: 2, steps: 1, fromOffset: 3, toOffset: 3 })).toEqual([]);
    expect(problemsOf({ invocation: 2, steps: 1, fromOffset: 4, toOffset: 6 })).toEqual([]);
    expect(problemsOf({ invocation: 3, steps: 2, fromOffset: 2, toOffset: 5 })).toEqual([]);
    expect(problemsOf({ invocation: 2, steps: null, fromOffset: 3, toOffset: 5 })).toEqual([]);
  });

  it("must not be of a time before the question", () => {
    const [problem] = problemsOf({ invocation: 2, steps: 1, fromOffset: 5, toOffset: 6 });
    expect(problem).toContain("a state was given for invocation 2, which is over");
  });

  it("must not be of a time after the answer", () => {
    const [problem] = problemsOf({ invocation: 3, steps: 2, fromOffset: 1, toOffset: 3 });
    expect(problem).toContain("a state was given for invocation 3");
  });

  it("must have all that was settled by then, and must not be withheld", () => {
    expect(problemsOf({ invocation: 3, steps: 1, fromOffset: 5, toOffset: 5 })[0]).toContain("expected 2 to 2");
    expect(problemsOf({ invocation: 2, steps: null, fromOffset: 3, toOffset: 3 })[0]).toContain("was withheld");
  });

  it("of a task that lost its partition while it read the row is as of when it was asked, not of no time", async () => {
    const { runId, memo } = napping();
    let processedOffset = 3;
    const task = {
      time: () => ({ rawMs: 0, advanceMs: 0, processedOffset }),
      runState: () => {
        processedOffset = -1; // Fenced: the session is gone.
        return Promise.resolve({ runId, invocation: 2, event: new Uint8Array(), memo: memo.slice(0, 1) });
      },
    };
    const { answer } = await askTask(task, { runId, invocation: 2 }, () => 7);
    expect(answer).toMatchObject({ fromOffset: 3, toOffset: 6 });
    expect(problemsOf({ invocation: 2, steps: 1, fromOffset: answer.fromOffset, toOffset: answer.toOffset })).toEqual(
      [],
    );
  });
});
