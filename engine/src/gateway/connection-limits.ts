/** How many connections there may be, in all and from one address: above that, new ones are dropped at once. */
import type { Server, Socket } from "node:net";
import type { Meter } from "@eddy/clients";
import { addressOf } from "./guard.js";

export interface ConnectionLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
}

export function limitConnections(server: Server, limits: ConnectionLimits, meter: Meter): void {
  const { connectionsMax, connectionsPerAddressMax } = limits;
  const byAddress = new Map<string, number>();
  const refused = (): void => meter.count("eddy_connections_refused_total", 1);
  server.maxConnections = connectionsMax;
  server.on("drop", refused);
  server.on("connection", (socket: Socket) => {
    const address = addressOf(socket);
    const count = byAddress.get(address) ?? 0;
    if (count >= connectionsPerAddressMax) {
      refused();
      socket.destroy();
      return;
    }
    byAddress.set(address, count + 1);
    socket.once("close", () => {
      const left = (byAddress.get(address) ?? 1) - 1;
      if (left === 0) byAddress.delete(address);
      else byAddress.set(address, left);
    });
  });
}
