import { describe, expect, it } from "vitest";
import { verdictOf } from "../../src/kafka/kafka-errors.js";
import { oauthTokens, type OAuthClient } from "../../src/kafka/oauth-token.js";

const CLIENT: OAuthClient = { tokenEndpoint: "https://idp/token", clientId: "a:b", clientSecret: "s%", scope: "kafka" };

/** An endpoint that answers in order, and a clock that stands until it is moved. */
function stage(...answers: readonly (Response | Error)[]) {
  const asked: Request[] = [];
  let nowMs = 0;
  const left = [...answers];
  const fetch = (async (url, init) => {
    asked.push(new Request(url as string, init));
    const answer = left.shift();
    if (answer === undefined) throw new Error("nobody expected this request");
    if (answer instanceof Error) throw answer;
    return answer;
  }) as typeof globalThis.fetch;
  const clock = { nowMs: () => nowMs, sleep: () => Promise.resolve() };
  return { asked, tokens: oauthTokens(CLIENT, { fetch, clock }), pass: (ms: number) => (nowMs += ms) };
}
const token = (value: string, seconds?: number | string): Response =>
  Response.json({ access_token: value, token_type: "Bearer", expires_in: seconds });

describe("tokens by the client credentials grant", () => {
  it("asks as the standard says", async () => {
    const { asked, tokens } = stage(token("t", 100));
    expect(await tokens()).toEqual({ value: "t" });
    const [request] = asked;
    expect(request?.method).toBe("POST");
    expect(request?.headers.get("authorization")).toBe(`Basic ${btoa("a%3Ab:s%25")}`);
    expect(await request?.text()).toBe("grant_type=client_credentials&scope=kafka");
  });
  it("uses a token for most of its time, and then asks for another", async () => {
    const { asked, tokens, pass } = stage(token("first", 100), token("second", "100"));
    await tokens();
    pass(79_999);
    expect(await tokens()).toEqual({ value: "first" });
    pass(1);
    expect(await tokens()).toEqual({ value: "second" });
    expect(asked).toHaveLength(2);
  });
  it("asks once for connections that begin together", async () => {
    const { asked, tokens } = stage(token("t"));
    expect(await Promise.all([tokens(), tokens(), tokens()])).toEqual(Array(3).fill({ value: "t" }));
    expect(asked).toHaveLength(1);
  });
  it.each<[string, Response | Error, string]>([
    ["an endpoint that is away", new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } }), "leader"],
    ["an endpoint in trouble", new Response("", { status: 503 }), "leader"],
    ["an endpoint that is asked too often", new Response("", { status: 429 }), "leader"],
    ["a client that is refused", Response.json({ error: "invalid_client" }, { status: 401 }), "config"],
    ["an answer without a token", Response.json({}), "config"],
    ["an answer that is no JSON", new Response("<html>"), "config"],
  ])("%s: the next connection asks again", async (_name, answer, verdict) => {
    const { tokens } = stage(answer, token("t"));
    const error: unknown = await tokens().catch((thrown: unknown) => thrown);
    expect(verdictOf(error)).toBe(verdict);
    expect((error as Error).message).not.toContain("s%");
    expect(await tokens()).toEqual({ value: "t" });
  });
});
