import { expect, it } from "vitest";
import { range, type Stage } from "./stage.js";

const TICKETS = 200;

export function foreignCancel(stage: Stage): void {
  const reminded: number[] = [];
  stage.define(
    {
      id: "ticket",
      triggers: [{ event: "ticket/opened" }],
      cancelOn: [
        { event: "ticket/user.left", match: "data.user" },
        { event: "ticket/closed", match: "data.ticket" },
      ],
    },
    async ({ event, step }) => {
      await step.sleep("patience", "1h");
      await step.run("remind", () => reminded.push(event.data.ticket as number));
    },
  );

  it(`G3: each of ${TICKETS} runs is cancelled by another key than that of its partition; none reminds`, async () => {
    const { world } = stage;
    const opened = range(TICKETS + 1).map((n) => ({ name: "ticket/opened", data: { ticket: n, user: `u${n % 7}` } }));
    const ids = await world.sendAll(opened);
    await Promise.all(
      range(4).map((part) =>
        world.sendAll(
          range(TICKETS / 4).map((i) => ({ name: "ticket/closed", data: { ticket: part * (TICKETS / 4) + i } })),
        ),
      ),
    );
    const ended = await world.allEnded(ids.slice(0, TICKETS));
    expect(new Set([...ended.values()].map(({ status }) => status))).toEqual(new Set(["Cancelled"]));
    await world.advance("1h");
    expect(await world.ended(ids[TICKETS] as string)).toMatchObject({ status: "Completed" });
    expect(reminded).toEqual([TICKETS]);
  });
}
