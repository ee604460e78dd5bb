/** Records between partitions: what the judge finds where one is missing, doubled, changed, or out of order. */
import type { InboxRecord } from "@eddy/schemas";
import { describe, expect, it } from "vitest";
import { PartitionModel } from "../model/partition-model.js";
import { Verdict } from "../model/verdict.js";
import { functionOf, HandMade, keyOn } from "./hand-made.js";
import { pastEventsOf } from "./past.js";
import { compareSent } from "./sent.js";

const THERE = keyOn(1);
const NO_ORACLE = { requestIndex: () => null, retryAtMs: () => undefined };

/** Partition 0 hears what starts a run that lives on partition 1 and listens here: it must announce that. */
function announcing() {
  const made = new HandMade();
  const config = functionOf({
    cancelOn: [
      { event: "stop", match: "data.k", if: null, timeout: null },
      { event: "stop", match: "data.j", if: null, timeout: null },
    ],
  });
  made.registered(0, config);
  made.event(0, 100, { id: "t", name: "start", data: { k: THERE, j: keyOn(0) }, home: 1 });
  const model = new PartitionModel({ partition: 0, partitions: 2 }, NO_ORACLE, new Verdict());
  for (const { offset, appendTimeMs, record } of made.evidence(0).inbox) model.apply(offset, appendTimeMs, record);
  const [sent] = model.expected.sent;
  if (sent?.body.record.kind !== "announced") throw new Error("the model expects an announcement");
  const { offset, body } = sent;
  const said = (index: number, change: object = {}): void => {
    const source = { partition: 0, offset, index };
    made.record(1, 200, { ...body.record, ...change, source } as InboxRecord);
  };
  const judged = (): string[] => {
    const verdict = new Verdict();
    compareSent(model, [made.evidence(1)], verdict);
    return verdict.violations.map(({ promise, text }) => `${promise}: ${text}`);
  };
  return { made, offset, said, judged };
}

describe("a record for another partition", () => {
  it("comes once, or again under the same mark", () => {
    const { said, judged } = announcing();
    said(0);
    said(0);
    expect(judged()).toEqual([]);
  });

  it("must not be missing", () => {
    expect(announcing().judged()).toEqual([expect.stringMatching(/^effects: expected 1 to 1: .*found nothing$/)]);
  });

  it("must not come twice under two marks", () => {
    const { said, judged } = announcing();
    said(0);
    said(1);
    expect(judged()).toEqual([expect.stringMatching(/^effects: to 1 nobody expects/)]);
  });

  it("must say what it should", () => {
    const { said, judged } = announcing();
    said(0, { at: 7 });
    expect(judged()).toEqual([expect.stringMatching(/^effects: expected 1 to 1: .*found \{/)]);
  });

  it("must say the same again (G10), and not after a later one", () => {
    const { made, offset, said, judged } = announcing();
    said(1);
    said(1, { at: 7 });
    made.record(1, 300, { kind: "settled", version: 1, source: { partition: 0, offset, index: 0 } });
    expect(judged()).toEqual([
      expect.stringMatching(/^G10: a repeat of announced/),
      expect.stringMatching(/first came after/),
      expect.stringMatching(/^effects: to 1 nobody expects/),
    ]);
  });
});

describe("the inbox read again", () => {
  const made = new HandMade();
  made.event(0, 100, { id: "a", name: "x", data: {} });
  made.event(0, 300, { id: "b", name: "x", data: {} });
  made.record(0, 310, { kind: "advance", ms: 50 });
  made.event(0, 290, { id: "c", name: "y", data: {} });
  made.event(0, 400, { id: "d", name: "x", data: {} });
  const found = (fromRawMs: number, toOffset: number, names = ["x"]): string[] =>
    pastEventsOf(made.evidence(0).inbox, { names, fromRawMs, toOffset }).map(
      ({ record, advancedSinceMs }) => `${record.id} ${advancedSinceMs}`,
    );

  it("gives events of the names, in order, before the offset, with what the clock was advanced since", () => {
    expect(found(0, 5)).toEqual(["a 50", "b 50", "d 0"]);
    expect(found(0, 4, ["x", "y"])).toEqual(["a 50", "b 50", "c 0"]);
  });

  it("ends at the first record from behind that is older", () => {
    expect(found(300, 5)).toEqual(["d 0"]);
    expect(found(290, 5)).toEqual(["b 50", "d 0"]);
  });
});
