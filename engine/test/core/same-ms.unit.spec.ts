/**
 * Two events of one partition in the same millisecond, of which one counts late: their places in the log tell which is
 * older (G3), because both are known.
 */
import { describe, expect, it } from "vitest";
import { Cluster, keyOn } from "./cluster.js";
import { fn } from "./scenario.js";

const data = { cart: keyOn(1, 4, "cart"), user: keyOn(2, 4, "user"), team: keyOn(2, 4, "team") };
const guarded = fn({ id: "guarded", triggers: [{ event: "x" }], cancelOn: [{ event: "y", match: "data.team" }] });

/** Functions by which events of these names have copies at the values of their carts and users. */
const reading = (...events: string[]) =>
  ["data.cart", "data.user"].map((match) =>
    fn({ id: match.slice(5), triggers: [{ event: "z" }], waits: events.map((event) => ({ event, match })) }),
  );

/** The copy of `name` on a partition, by the routes that are in force now. */
function copyOn(c: Cluster, name: string, partition: number) {
  const copy = c.copies(name, data, { id: `the ${name}` }).get(partition);
  if (copy === undefined) throw new Error(`no copy of ${name} on ${partition}`);
  return copy;
}

function begun(others: ReturnType<typeof reading>): Cluster {
  const c = new Cluster();
  c.register(others);
  c.deliver();
  c.pass(1);
  c.deliver();
  return c;
}

describe.each([0, 1])("%i ms later", (laterMs) => {
  it("an older event does not cancel a younger run", () => {
    const others = reading("y");
    const c = begun(others);
    const [home, copy] = [copyOn(c, "y", 1), copyOn(c, "y", 2)];
    c.register([...others, guarded]);
    c.apply(2, copy);
    c.deliver(({ record }) => record.kind === "registered");
    c.apply(2, copyOn(c, "x", 2), laterMs);
    expect(c.of("runStarted")).toHaveLength(1);
    c.apply(1, home);
    c.deliver();
    expect(c.of("runCancelled")).toEqual([]);
  });

  it("a younger event cancels an older run that begins late", () => {
    const others = reading("x", "y");
    const c = begun(others);
    const [home, copy, ender] = [copyOn(c, "x", 1), copyOn(c, "x", 2), copyOn(c, "y", 2)];
    c.register([...others, guarded]);
    c.apply(2, copy);
    c.apply(2, ender, laterMs);
    c.deliver(({ record }) => record.kind === "registered");
    c.apply(1, home);
    c.deliver();
    expect(c.of("runStarted")).toHaveLength(1);
    expect(c.of("runCancelled")).toMatchObject([{ eventId: "the y" }]);
  });
});
