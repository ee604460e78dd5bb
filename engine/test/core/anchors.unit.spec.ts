/** Where a run lives does not change with its function's configuration: partitions may have different ones for a while. */
import { describe, expect, it } from "vitest";
import { Cluster, keyOn } from "./cluster.js";
import { fn } from "./scenario.js";

const A = keyOn(1, 4, "a");
const B = keyOn(2, 4, "b");
const triggers = [{ event: "t" }];
const other = fn({
  id: "other",
  triggers,
  cancelOn: [
    { event: "x", match: "data.a" },
    { event: "x", match: "data.b" },
  ],
});
const before = fn({ id: "f", triggers, cancelOn: [{ event: "stop", match: "data.a" }] });
const after = fn({ id: "f", triggers, cancelOn: [{ event: "stop", match: "data.b" }] });

describe("a function that is registered with another key", () => {
  for (const early of [1, 2]) {
    it(`starts one run for one event, though partition ${early} knows of it first (G6)`, () => {
      const c = new Cluster();
      c.register([other, before]);
      c.deliver();
      c.pass(1);
      c.deliver();
      c.register([other, after]);
      c.deliver(({ to, record }) => record.kind === "registered" && to === early);
      c.send("t", { a: A, b: B });
      c.deliver(({ record }) => record.kind !== "registered");
      c.deliver();
      c.pass(1);
      c.deliver();
      expect(c.of("runStarted").filter(({ functionId }) => functionId.endsWith("/f"))).toHaveLength(1);
    });
  }
});
