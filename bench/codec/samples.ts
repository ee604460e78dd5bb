/** The values that an engine encodes and decodes most, in typical sizes. Same bytes at every run. */
import type { InboxRecord, InboxRecordOf, MemoEntry, Rows, StepRequest } from "@eddy/schemas";

const utf8 = new TextEncoder();
const json = (value: unknown): Uint8Array => utf8.encode(JSON.stringify(value));

const product = (i: number): unknown => ({
  name: "cart/product.added",
  id: `01JD${String(i).padStart(22, "0")}`,
  ts: 1_800_000_000_000 + i,
  data: { cart_id: `cart-${i % 97}`, sku: `sku-${i}`, quantity: 2, price: { amount: 1999, currency: "EUR" } },
  user: { id: `user-${i % 53}`, email: `user-${i % 53}@example.com`, locale: "de-DE", plan: "pro" },
});

const EVENT: InboxRecordOf<"event"> = {
  kind: "event",
  id: "01JD0000000000000000000042",
  idFrom: "generated",
  name: "cart/product.added",
  tsMs: 1_800_000_000_042,
  values: [
    ["data.cart_id", "s:cart-42"],
    ["id", "s:01JD0000000000000000000042"],
  ],
  payload: json(product(42)),
  version: 7,
  home: 3,
  origin: null,
};

const RUN_ID = "fb48sfdm90jmjj2m16qqi6vq7030f";

const REPORT: InboxRecord = {
  kind: "report",
  report: {
    runId: RUN_ID,
    invocation: 3,
    ops: [{ kind: "stepCompleted", stepId: "generate-draft", data: json({ text: "lorem ipsum ".repeat(60) }) }],
    outcome: { kind: "returned", data: json(null) },
  },
};

const memo = (stepId: string): MemoEntry => ({
  stepId,
  kind: "run",
  data: json({ ok: true, at: 1_800_000_000_042, note: "x".repeat(80) }),
  error: null,
  invocation: 2,
});

const RUN: Rows["run"] = {
  runId: RUN_ID,
  functionId: "shop/cart-abandonment-flow",
  app: "shop",
  event: { id: EVENT.id, name: EVENT.name, values: EVENT.values, payload: EVENT.payload },
  anchor: "s:cart-42",
  startedOffset: 123_456,
  startedAtMs: 1_800_000_000_050,
  beganOffset: 123_456,
  mark: { offset: 123_456, atMs: 1_800_000_000_050 },
  laterMarks: [],
  retries: 4,
  memo: ["load", "generate-draft", "request-review"].map(memo),
  nextResultNo: 0,
  pending: [
    {
      kind: "wait",
      no: 1,
      dueAtMs: 1_800_086_400_050,
      deadlineMs: 1_800_086_400_050,
      fromMs: 1_800_000_000_050,
      fromOffset: 123_450,
      stepId: "wait-for-purchase",
      event: "cart/purchased",
      path: "data.cart_id",
      routeKey: RUN_ID,
      if: null,
    },
  ],
  nextPendingNo: 2,
  withdrawn: [],
  subscriptions: [
    { purpose: "wait", routeKey: RUN_ID, chunk: 0, rules: [], fromTrigger: false },
    {
      purpose: "cancel",
      routeKey: RUN_ID,
      chunk: 0,
      rules: [{ if: null, given: null, expiresAtMs: 1_800_086_400_050 }],
      fromTrigger: false,
    },
  ],
  foreign: [],
  attempts: [],
  taken: [],
  invocation: { no: 2, cause: { offset: 123_460, index: 2 }, leaseUntilMs: null, memoSent: 3 },
};

const SUBSCRIPTIONS: Rows["subscription"] = {
  entries: Array.from({ length: 16 }, (_, i) => ({
    base: RUN_ID.slice(0, -2) + String(10 + i),
    purpose: i % 2 === 0 ? ("wait" as const) : ("cancel" as const),
  })),
  total: 16,
  tail: 0,
  kept: [{ offset: 123_470, eventId: EVENT.id, atMs: 1_800_000_000_060, bytes: 300 }],
  lost: null,
};

const IDS: Rows["ids"] = {
  ids: Array.from({ length: 128 }, (_, i) => [
    `g:01JD${String(i).padStart(22, "0")}`,
    123_400 + i,
    1_800_000_000_000 + i,
  ]),
  expiresAtMs: 1_800_000_600_000,
};

const REQUEST: StepRequest = {
  app: "shop",
  functionId: RUN.functionId,
  runId: RUN_ID,
  invocation: 2,
  attempt: 0,
  maxAttempts: 5,
  stepAttempts: [],
  event: EVENT.payload,
  memo: ["load"].map(memo),
  memoTotal: 3,
};

export interface Sample {
  readonly name: string;
  readonly value: object;
}

export const SAMPLES = {
  event: EVENT,
  report: REPORT,
  run: RUN,
  subscription: SUBSCRIPTIONS,
  ids: IDS,
  request: REQUEST,
} as const;
