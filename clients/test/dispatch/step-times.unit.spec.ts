import { beforeEach, describe, expect, it } from "vitest";
import type { StepOp, StepReport } from "@eddy/schemas";
import { ManualClock } from "../../../engine/src/adapters/memory/index.js";
import { StepTimes } from "../../src/dispatch/step-times.js";
import { NO_METER } from "../../src/ports/meter.js";

const completed: StepOp = { kind: "stepCompleted", stepId: "s", data: new Uint8Array() };
const sleep: StepOp = { kind: "sleepRequested", stepId: "z", until: { ms: 1 } };
const request = { runId: "000-a-1", functionId: "shop/cart", invocation: 1 };

describe("times of steps", () => {
  let clock: ManualClock;
  let seen: unknown[][];
  let times: StepTimes;
  beforeEach(() => {
    clock = new ManualClock(1_000);
    seen = [];
    times = new StepTimes({ clock, meter: { ...NO_METER, observe: (...given) => void seen.push(given) } });
  });
  const report = (ops: StepOp[], outcome: StepReport["outcome"] = null, invocation = 1): void =>
    times.reported({ runId: request.runId, invocation, ops, outcome });

  it("run from the request, or from the report before", () => {
    times.sent(request);
    clock.advance(2_000);
    report([completed]);
    clock.advance(500);
    report([completed, sleep], { kind: "suspended" });
    const labels = { function: "shop/cart" };
    expect(seen).toEqual([
      ["eddy_step_seconds", 2, labels],
      ["eddy_step_seconds", 0.5, labels],
    ]);
  });

  it("are not told of requests that this process did not send, nor of ended invocations", () => {
    report([completed]);
    times.sent(request);
    report([completed], null, 2);
    report([], { kind: "suspended" });
    report([completed]);
    expect(seen).toEqual([]);
  });
});
