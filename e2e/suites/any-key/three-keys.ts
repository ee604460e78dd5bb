/**
 * Orders are paid by their number, arrive by that of their shipment, and are cancelled by their lot and their customer:
 * keys that lie on any partition. What happens is drawn; a few lines here say how each run must end.
 */
import { expect, it } from "vitest";
import { randomOf, range, type Stage } from "./stage.js";

/** Another one: EDDY_SEED=<number>. */
const SEED = Number(process.env["EDDY_SEED"] ?? 5);

interface Order {
  readonly order: string;
  readonly lot: string;
  readonly customer: string;
  readonly shipment: string;
  readonly weight_max: number;
}
type What = "order/placed" | "order/paid" | "shipment/arrived" | "customer/left" | "order/recalled";
interface Sent {
  readonly name: What;
  readonly data: Readonly<Record<string, unknown>>;
}
/** What is sent in one virtual hour, at once. */
type Hour = readonly Sent[];

const HOURS: readonly What[] = [
  "order/placed",
  "shipment/arrived",
  "order/paid",
  "shipment/arrived",
  "customer/left",
  "order/placed",
  "order/paid",
  "order/recalled",
  "shipment/arrived",
  "order/paid",
];

class Draw {
  readonly #random: () => number;
  readonly #orders: Order[] = [];

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  hours(): readonly Hour[] {
    return HOURS.map((what, hour) => this.#hour(what, hour));
  }

  #hour(name: What, hour: number): Hour {
    switch (name) {
      case "order/placed":
        return range(24).map((i) => {
          const order = this.#order(hour * 100 + i);
          this.#orders.push(order);
          return { name, data: { ...order } };
        });
      case "order/paid":
        return this.#some(0.4, "order").map((order) => ({ name, data: { order } }));
      case "shipment/arrived":
        return this.#some(0.4, "shipment").flatMap((shipment, i) => [
          { name, data: { shipment, weight: 5, no: hour * 100 + i } },
          { name, data: { shipment, weight: this.#chance(0.5) ? 50 : "5", no: -1 } },
          { name, data: { shipment, no: -2 } },
        ]);
      case "customer/left":
        return this.#some(0.2, "customer").map((customer) => ({ name, data: { customer } }));
      case "order/recalled":
        return this.#some(0.2, "lot").map((lot) => ({ name, data: { lot } }));
    }
  }

  #order(no: number): Order {
    const [lot, customer, shipment] = [12, 12, 16].map((count) => Math.floor(this.#random() * count));
    const order = { order: `o${no}`, lot: `l${lot}`, customer: `c${customer}`, shipment: `s${shipment}` };
    return { ...order, weight_max: this.#chance(0.9) ? 10 : 1 };
  }
  /** Of the values that orders have there. */
  #some(share: number, key: "order" | "lot" | "customer" | "shipment"): readonly string[] {
    return [...new Set(this.#orders.map((order) => order[key]))].filter(() => this.#chance(share));
  }
  #chance(share: number): boolean {
    return this.#random() < share;
  }
}

/** How the run of the order ends by what is sent up to an hour; null: it goes on. */
function endOf(order: Order, hours: readonly Hour[]): string | null {
  let [isPlaced, isPaid] = [false, false];
  for (const hour of hours) {
    for (const { name, data } of hour) {
      if (name === "order/placed") isPlaced ||= data["order"] === order.order;
      else if (isPlaced) {
        if (name === "order/paid" && data["order"] === order.order) isPaid = true;
        if (name === "customer/left" && data["customer"] === order.customer) return "Cancelled";
        if (name === "order/recalled" && data["lot"] === order.lot) return "Cancelled";
        const fits = typeof data["weight"] === "number" && data["weight"] <= order.weight_max;
        if (name === "shipment/arrived" && isPaid && data["shipment"] === order.shipment && fits) {
          return `arrived ${String(data["no"])}`;
        }
      }
    }
  }
  return null;
}

/** And by time alone. */
function lastEndOf(order: Order, hours: readonly Hour[]): string {
  const isPaid = hours.some((hour) =>
    hour.some(({ name, data }) => name === "order/paid" && data["order"] === order.order),
  );
  return endOf(order, hours) ?? (isPaid ? "lost" : "unpaid");
}

export function threeKeys(stage: Stage): void {
  stage.define(
    {
      id: "order",
      triggers: [{ event: "order/placed" }],
      cancelOn: [
        { event: "order/recalled", match: "data.lot" },
        { event: "customer/left", if: "async.data.customer == event.data.customer", timeout: "30d" },
      ],
    },
    async ({ step }) => {
      const paid = await step.waitForEvent("paid", { event: "order/paid", match: "data.order", timeout: "5d" });
      if (paid === null) return "unpaid";
      const arrived = await step.waitForEvent("arrived", {
        event: "shipment/arrived",
        if: "event.data.shipment == async.data.shipment && async.data.weight <= event.data.weight_max",
        timeout: "5d",
      });
      return arrived === null ? "lost" : `arrived ${arrived.data.no as number}`;
    },
  );

  it(`G1-G4: trigger, waits and cancel rules by four keys, drawn by seed ${SEED}`, async () => {
    const { world } = stage;
    const hours = new Draw(SEED).hours();
    const placed = new Map<string, Order>();
    for (const [i, hour] of hours.entries()) {
      // A run that has its last event by now ends before the next can come: else either may be first.
      await world.allEnded(
        [...placed].flatMap(([id, order]) => (endOf(order, hours.slice(0, i)) === null ? [] : [id])),
      );
      await Promise.all(
        hour.map(async ({ name, data }) => {
          const id = await world.send(name, data);
          if (name === "order/placed") placed.set(id, data as unknown as Order);
        }),
      );
      await world.advance("1h");
    }
    const ended = await world.allEnded([...placed.keys()], () => world.advance("5d"));
    const told = (id: string): unknown => {
      const { status, output } = ended.get(id) ?? {};
      return status === "Completed" ? output : status;
    };
    const ends = [...placed].map(([id, order]) => [order, told(id)]);
    expect(ends).toEqual([...placed.values()].map((order) => [order, lastEndOf(order, hours)]));
  });
}
