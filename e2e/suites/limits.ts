/** Limits as users meet them: what is just within one works, what is beyond fails and names it. */
import { SendError, StepError } from "@eddy/sdk";
import { expect, it } from "vitest";
import { World, type WorldKind } from "../world.js";

const MIB = 1_048_576;

export function limits(kind: WorldKind): void {
  it("a run has 1,000 steps, results of 4 MiB, 32 MiB in all, and sends events of 1 MiB", async () => {
    const world = await World.start(kind);
    try {
      const { client } = world;
      const triggers = (event: string) => [{ event }];
      const steps = client.createFunction({ id: "steps", triggers: triggers("steps") }, async ({ event, step }) => {
        for (let i = 0; i < event.data.count; i++) await step.run(`s${i}`, () => i);
        return "done";
      });
      const results = client.createFunction(
        { id: "results", triggers: triggers("results") },
        async ({ event, step }) => {
          for (const bytes of event.data.bytes as number[]) await step.run("result", () => "x".repeat(bytes - 2));
          return "done";
        },
      );
      const sends = client.createFunction({ id: "sends", triggers: triggers("sends") }, async ({ event, step }) => {
        const data = { pad: "x".repeat(event.data.bytes as number) };
        try {
          return (await step.sendEvent("send", { name: "large", data })).ids.length;
        } catch (error) {
          return error instanceof StepError ? error.message : "another error";
        }
      });
      await world.work([steps, results, sends]);
      const ended = async (name: string, data: Record<string, unknown>) => world.ended(await world.send(name, data));

      // Both at once: each step is a way through the log, and little else.
      const [within, beyond] = await Promise.all([1_000, 1_001].map((count) => ended("steps", { count })));
      expect(within).toMatchObject({ status: "Completed", output: "done" });
      expect(beyond).toMatchObject({ status: "Failed", error: { message: "a run has at most 1000 steps" } });
      expect(await ended("results", { bytes: [4 * MIB] })).toMatchObject({ output: "done" });
      expect(await ended("results", { bytes: [4 * MIB + 1] })).toMatchObject({
        error: { message: "step result returned 4194305 bytes, the limit is 4194304" },
      });
      const tooMuch = await ended("results", { bytes: Array.from({ length: 9 }, () => 3.6 * MIB) });
      expect(tooMuch).toMatchObject({ status: "Failed", error: { name: "RunStateTooLargeError" } });
      expect(JSON.stringify(tooMuch)).toContain("the limit is 33554432");
      expect(await ended("sends", { bytes: MIB - 1_000 })).toMatchObject({ output: 1 });
      const refused = { output: expect.stringContaining("at most 1048576 bytes") as string };
      expect(await ended("sends", { bytes: MIB })).toMatchObject(refused);
      const sent: unknown = await world.send("large", { pad: "x".repeat(MIB) }).catch((error: unknown) => error);
      expect(sent).toBeInstanceOf(SendError);
      expect(sent).toMatchObject({ code: "EVENT_TOO_LARGE", message: expect.stringContaining("1048576") as string });
    } finally {
      await world.close();
    }
  }, 90_000);
}
