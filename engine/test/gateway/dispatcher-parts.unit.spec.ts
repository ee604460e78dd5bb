/** Requests in several records (ADR 0022): how a dispatcher puts them together, whatever comes in between. */
import {
  encodeRequestPart,
  encodeStepRequest,
  offset,
  type Cause,
  type MemoEntry,
  type RequestPart,
  type StepRequest,
} from "@eddy/schemas";
import { afterEach, beforeEach, expect, it } from "vitest";
import { TransientError } from "../../../clients/src/errors/codes.js";
import { APP, DispatcherWorld, requestOf, runOn, type FakeWorker } from "./dispatcher-fixtures.js";
import { inboxOfKind, settle, TOPICS, until } from "./fixtures.js";

let d: DispatcherWorld;
beforeEach(async () => {
  d = await DispatcherWorld.make();
});
afterEach(() => d.close());

const RUN = runOn(0, 1);
const entry = (no: number): MemoEntry => ({
  stepId: `s${no}`,
  kind: "run",
  data: new Uint8Array([48 + no]),
  error: null,
  invocation: 1,
});
const cause = (at: number, index: number): Cause => ({ offset: offset(at), index });

/** Records of a request in three: two parts and itself, as record `at` of the inbox causes them. */
function inParts(at: number, runId = RUN, invocation = 2): readonly Uint8Array[] {
  const part = (...memo: MemoEntry[]): RequestPart => ({ runId, invocation, memo });
  const request: StepRequest = { ...requestOf(runId, invocation), memoTotal: 3 };
  return [
    encodeRequestPart(cause(at, 4), part(entry(0), entry(1))),
    encodeRequestPart(cause(at, 5), part(entry(2))),
    encodeStepRequest(cause(at, 6), request, 2),
  ];
}
const single = (at: number, runId: string): Uint8Array => encodeStepRequest(cause(at, 0), requestOf(runId));

async function append(...values: readonly Uint8Array[]): Promise<void> {
  for (const value of values) await d.world.log.append(TOPICS.steps(APP), 0, [{ key: RUN, value }]);
}
const committed = () => d.world.log.groupOffset(TOPICS.workerGroup(APP), TOPICS.steps(APP), 0);
const memosOf = ({ link }: FakeWorker): string[] =>
  link.of("request").map(({ request }) => request.memo.map(({ stepId }) => stepId).join());

it("gives the worker one request, with the memo of all parts in order, and commits past it", async () => {
  const worker = d.worker("w", 2);
  await append(...inParts(7), single(8, runOn(0, 2)));
  await until("both", () => worker.given().length === 2);
  expect(memosOf(worker)).toEqual(["s0,s1,s2", ""]);
  expect(await committed()).toEqual({ offset: 4, metadata: '{"offset":8,"index":0}' });
});

it("commits nothing from the first part on until the request is handed out, and says so", async () => {
  const worker = d.worker("w", 1);
  const [first, second, request] = inParts(7) as [Uint8Array, Uint8Array, Uint8Array];
  await append(single(6, runOn(0, 2)), first);
  await until("the other", () => worker.given().length === 1);
  await append(second, request);
  await settle();
  expect(await committed()).toEqual({ offset: 1, metadata: '{"offset":6,"index":0}' });
  await worker.finish(runOn(0, 2));
  await until("the request", () => worker.given().length === 2);
  expect(await committed()).toEqual({ offset: 4, metadata: '{"offset":7,"index":6}' });
});

it("begins at the first part where another process had read some of them", async () => {
  const before = d.worker("w", 1);
  const [first, second, request] = inParts(7) as [Uint8Array, Uint8Array, Uint8Array];
  await append(single(6, runOn(0, 2)), first, second);
  await until("the other", () => before.given().length === 1);
  await settle();
  await d.restart();
  const worker = d.worker("v", 1);
  await append(request);
  await until("the request", () => worker.given().length === 1);
  expect(memosOf(worker)).toEqual(["s0,s1,s2"]);
});

it("drops what owners repeat: before, between and after", async () => {
  const worker = d.worker("w", 5);
  const [first, second, request] = inParts(7) as [Uint8Array, Uint8Array, Uint8Array];
  const other = single(6, runOn(0, 2));
  await append(other, first, other, first, second, first, other, second, request, first, second, request);
  await append(single(9, runOn(0, 3)));
  await until("all three", () => worker.given().length === 3);
  expect(memosOf(worker)).toEqual(["", "s0,s1,s2", ""]);
  expect((await committed())?.offset).toBe(13);
});

it("puts the same together again where the commit's outcome is unknown", async () => {
  const worker = d.worker("w", 1);
  let failures = 2;
  d.world.log.beforeCommit = () => {
    if (failures-- > 0) throw new TransientError("no answer");
  };
  await append(...inParts(7));
  await until("the request", () => {
    d.world.clock.advance(100);
    return worker.given().length === 1;
  });
  expect(memosOf(worker)).toEqual(["s0,s1,s2"]);
});

it("drops parts whose request never comes", async () => {
  const worker = d.worker("w", 5);
  await append(...inParts(7).slice(0, 2), ...inParts(9, RUN, 3), ...inParts(11, runOn(0, 2)));
  await until("the later ones", () => worker.given().length === 2);
  expect(worker.given()).toEqual([`${RUN}/3`, `${runOn(0, 2)}/2`]);
  expect(memosOf(worker)).toEqual(["s0,s1,s2", "s0,s1,s2"]);
});

it.each([
  ["the first", [1, 2]],
  ["the second", [0, 2]],
  ["all", [2]],
])("gives a request back that has lost %s of its parts", async (_, left) => {
  const worker = d.worker("w", 5);
  const records = inParts(7);
  await append(...left.map((no) => records[no] as Uint8Array), single(8, runOn(0, 2)));
  await until("the other", () => worker.given().length === 1);
  const declined = await until("the decline", async () => {
    const found = await inboxOfKind(d.world.log, 0, "declined");
    return found.length > 0 && found;
  });
  expect(declined).toMatchObject([{ runId: RUN, invocation: 2 }]);
  expect(worker.given()).toEqual([`${runOn(0, 2)}/1`]);
});

it("does not hand out a request in parts that was aborted", async () => {
  const worker = d.worker("w", 5);
  await d.abort(RUN, 20);
  await settle();
  await append(...inParts(7), single(21, runOn(0, 2)));
  await until("the other", () => worker.given().length === 1);
  expect(worker.given()).toEqual([`${runOn(0, 2)}/1`]);
});
