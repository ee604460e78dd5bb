/** The examples play through on Kafka as they do on the embedded engine: two engines, two workers, virtual time. */
import type { EddyFunction } from "@eddy/sdk";
import { playThrough as cartAbandonment } from "../examples/cart-abandonment/test/play-through.js";
import { playThrough as humanApproval } from "../examples/human-approval/test/play-through.js";
import { World } from "./world.js";

async function open(functions: readonly EddyFunction[]) {
  const world = await World.start("kafka");
  await world.work(functions);
  return {
    send: world.sendAll.bind(world),
    call: async <T>(path: string, body?: unknown): Promise<T> => {
      if (body === undefined) return world.get<T>(path);
      const response = await world.post(path, body);
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    },
    close: () => world.close(),
  };
}

cartAbandonment(open);
humanApproval(open);
