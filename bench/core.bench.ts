/** CPU cost of the pure core per event: the cart flow, every decision through a strict read plan. `npm run bench:core`. */
import { performance } from "node:perf_hooks";
import { fn, HOUR, Scenario } from "../engine/test/core/scenario.js";

const cart = fn({
  id: "cart",
  cancelOn: [{ event: "cart/added", match: "data.cart", timeout: { ms: 24 * HOUR } }],
  waits: [{ event: "cart/purchased", match: "data.cart" }],
});

const EVENTS = 2_000;
for (let round = 0; round < 3; round++) {
  const s = new Scenario([cart]);
  const cpu = process.cpuUsage();
  const begin = performance.now();
  for (let i = 0; i < EVENTS; i++) s.send("cart/added", { cart: `c${i % 200}` }, { afterMs: 0 });
  const { user, system } = process.cpuUsage(cpu);
  const perEvent = (user + system) / EVENTS;
  console.log(
    JSON.stringify({ events: EVENTS, wallMs: Math.round(performance.now() - begin), cpuMicrosPerEvent: perEvent }),
  );
}
