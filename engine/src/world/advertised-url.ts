/** Where other engines reach this one. */
import { networkInterfaces } from "node:os";

export interface Listening {
  /** As configured; 0.0.0.0 and :: are all addresses of the machine. */
  readonly host: string;
  /** As bound. */
  readonly port: number;
  /** Said by the operator; wins. */
  readonly advertisedUrl?: string | undefined;
  /** Present: over TLS. */
  readonly tls?: object | undefined;
}

const EVERYWHERE: readonly string[] = ["0.0.0.0", "::"];

export function advertisedUrlOf({ host, port, advertisedUrl, tls }: Listening): string {
  if (advertisedUrl !== undefined) return advertisedUrl;
  const address = EVERYWHERE.includes(host) ? machineAddress() : host;
  return `${tls === undefined ? "http" : "https"}://${address.includes(":") ? `[${address}]` : address}:${port}`;
}

/** The first IPv4 address that others can reach; loopback on a machine without network. */
function machineAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1";
}
