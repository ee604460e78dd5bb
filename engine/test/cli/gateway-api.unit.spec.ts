/** What commands make of a gateway's answers, and how long they ask again: time is the test's. */
import { describe, expect, it } from "vitest";
import { ManualClock } from "../../src/adapters/memory/manual-clock.js";
import { EXIT } from "../../src/cli/exit-codes.js";
import { CommandError } from "../../src/cli/client/command-error.js";
import { GatewayApi, type Ask } from "../../src/cli/client/gateway-api.js";
import { settle } from "../gateway/fixtures.js";

type Answer = () => Response;
const json = (status: number, body: unknown, headers: Record<string, string> = {}): Answer => {
  return () => new Response(JSON.stringify(body), { status, headers });
};
const failing =
  (cause: unknown): Answer =>
  () => {
    throw new TypeError("fetch failed", { cause });
  };
const told = (code: string, message: string) => ({ status: 0, error: { code, message, path: null } });
const busy = (headers?: Record<string, string>) => json(503, told("UNAVAILABLE", "taking over"), headers);
const refused = failing(Object.assign(new Error("connect"), { code: "ECONNREFUSED" }));

/** Answers in turn; the last one for ever. */
function gateway(...answers: readonly Answer[]) {
  const clock = new ManualClock();
  const asked: number[] = [];
  const waits: string[] = [];
  const first = clock.nowMs();
  const fetch = (): Promise<Response> => {
    asked.push(clock.nowMs() - first);
    const answer = answers[Math.min(asked.length, answers.length) - 1] as Answer;
    return new Promise((resolve) => resolve(answer()));
  };
  const api = new GatewayApi({
    url: "http://e",
    token: null,
    timeoutMs: 5_000,
    fetch,
    clock,
    onWait: (why) => waits.push(why),
  });
  const ask = async (more?: Ask): Promise<unknown> => {
    let outcome: unknown = null;
    const done = api.ask("/v1/x", more).then(
      (body) => (outcome = { body }),
      (error: unknown) => (outcome = error),
    );
    while (outcome === null) {
      await settle();
      clock.advance(50);
    }
    await done;
    return outcome;
  };
  return { ask, asked, waits };
}
const errorOf = (outcome: unknown): CommandError => {
  expect(outcome).toBeInstanceOf(CommandError);
  return outcome as CommandError;
};

describe("a gateway that is asked", () => {
  it("answers with its body as it came", async () => {
    expect(await gateway(json(200, { data: [1] })).ask()).toEqual({ body: { data: [1] } });
  });

  it("is asked again after the pause that it asks for, and the wait is told once", async () => {
    const { ask, asked, waits } = gateway(busy({ "retry-after": "2" }), busy({ "retry-after": "1" }), json(200, {}));
    expect(await ask()).toEqual({ body: {} });
    expect(asked).toEqual([0, 2_000, 3_000]);
    expect(waits).toEqual(["taking over"]);
  });

  it.each([{}, { "retry-after": "soon" }, { "retry-after": "-3" }])("is asked each second with %j", async (headers) => {
    const { ask, asked } = gateway(busy(headers), json(200, {}));
    await ask();
    expect(asked).toEqual([0, 1_000]);
  });

  it("is given up when the time is up, with what it said", async () => {
    const { ask, asked } = gateway(busy({ "retry-after": "2" }));
    const { exitCode, message } = errorOf(await ask());
    expect(exitCode).toBe(EXIT.unavailable);
    expect(message).toMatch(/^taking over; given up after 5000 ms: .*--timeout/);
    expect(asked).toEqual([0, 2_000, 4_000]);
  });

  it("is not asked for longer than there is time", async () => {
    const { ask, asked } = gateway(busy({ "retry-after": "3600" }));
    expect(errorOf(await ask()).exitCode).toBe(EXIT.unavailable);
    expect(asked).toEqual([0]);
  });

  it("is not asked again where that is not the same as once", async () => {
    const { ask, asked } = gateway(busy(), json(200, {}));
    expect(errorOf(await ask({ repeatable: false })).exitCode).toBe(EXIT.unavailable);
    expect(asked).toHaveLength(1);
  });

  it.each([502, 504])("is waited for behind a proxy that answers %i", async (status) => {
    expect(await gateway(() => new Response("<html>", { status }), json(200, {})).ask()).toEqual({ body: {} });
  });

  it.each([
    [400, "INVALID_QUERY", EXIT.refused],
    [404, "RUN_NOT_FOUND", EXIT.refused],
    [500, "INTERNAL", EXIT.failed],
  ])("ends it with %i %s", async (status, code, exit) => {
    const { ask, asked } = gateway(json(status, told(code, "so it is")));
    const { exitCode, message } = errorOf(await ask());
    expect([exitCode, message, asked.length]).toEqual([exit, `so it is (${status} ${code})`, 1]);
  });

  it.each<[string, Answer]>([
    ["a page", () => new Response("<html>\nhello</html>", { status: 200 })],
    ["an array", json(200, [])],
    ["an error of its own", json(404, { message: "nope" })],
    ["nothing", () => new Response("", { status: 200 })],
  ])("is none when it answers %s", async (_, answer) => {
    const { exitCode, message } = errorOf(await gateway(answer).ask());
    expect(exitCode).toBe(EXIT.unreachable);
    expect(message).toMatch(/^http:\/\/e is no gateway of Eddy: .*--url or EDDY_BASE_URL$/);
  });

  it.each<[string, unknown]>([
    ["connection refused", Object.assign(new Error("x"), { code: "ECONNREFUSED" })],
    ["connection refused", new AggregateError([Object.assign(new Error("x"), { code: "ECONNREFUSED" })])],
    ["there is no such host", Object.assign(new Error("x"), { code: "ENOTFOUND" })],
    ["the connection broke off", Object.assign(new Error("x"), { code: "UND_ERR_SOCKET" })],
    ["bad port", new Error("bad port")],
  ])("is not there: %s", async (reason, cause) => {
    const { exitCode, message } = errorOf(await gateway(failing(cause)).ask());
    expect(exitCode).toBe(EXIT.unreachable);
    expect(message).toContain(`no engine answers at http://e (${reason}): start an engine with \`eddy dev\``);
  });

  it("is waited for by the patient, but not for ever", async () => {
    expect(await gateway(refused, refused, json(200, {})).ask({ isPatient: true })).toEqual({ body: {} });
    const { ask, asked } = gateway(refused);
    expect(errorOf(await ask({ isPatient: true })).exitCode).toBe(EXIT.unreachable);
    expect(asked).toEqual([0, 1_000, 2_000, 3_000, 4_000]);
  });

  it("that says nothing at all is given up", async () => {
    const late: Answer = () => {
      throw new DOMException("late", "TimeoutError");
    };
    const { exitCode, message } = errorOf(await gateway(late).ask({ repeatable: false }));
    expect(exitCode).toBe(EXIT.unavailable);
    expect(message).toContain("no answer from http://e within 5000 ms");
  });
});
