/** What a registration makes known of the past: paths at which somebody begins to listen (ADR 0015, 10). */
import { describe, expect, it } from "vitest";
import { Cluster, keyOn } from "./cluster.js";
import { fn, HOUR, waitOp } from "./scenario.js";

const HERE = keyOn(1, 4, "here");
const THERE = keyOn(2, 4, "there");

describe("a path at which triggers were read, but nobody listened", () => {
  it("brings a wait there what came before both, from partitions that are its home (G1)", () => {
    const reading = fn({ id: "reading", triggers: [{ event: "seen" }], waits: [{ event: "x", match: "data.there" }] });
    const waiting = fn({
      id: "waiting",
      triggers: [{ event: "begun" }],
      cancelOn: [{ event: "y", match: "data.here" }],
    });
    const c = new Cluster();
    c.register([waiting]);
    c.deliver();
    c.send("begun", { here: HERE, there: THERE });
    const request = c.request();
    // By its id alone, on a partition of its own: nobody reads or listens to it yet.
    c.send("seen", { there: THERE }, { id: keyOn(3, 4, "seen") });
    c.register([waiting, reading]); // Senders write copies of it by data.there from now on, for `reading` to be told.
    c.deliver();
    c.report(request, [waitOp({ data: { there: THERE } }, "seen", "seen", "data.there", HOUR)]);
    c.deliver();
    expect(c.of("waitResolved")).toMatchObject([{ stepId: "seen", eventId: keyOn(3, 4, "seen") }]);
  });
});
