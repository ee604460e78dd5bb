/** `GET /metrics`, and the figures of the HTTP server itself. Label values come from the table of routes: they are few. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Meter } from "@eddy/clients";

/** What Prometheus reads. */
export interface MetricsPage {
  readonly contentType: string;
  text(): Promise<string>;
}

export interface MetricsRoutesDeps {
  readonly meter: Meter;
  readonly metrics: MetricsPage;
}

/** Before all other routes: it counts those that come after it. */
export function installMetrics(server: FastifyInstance, { meter, metrics }: MetricsRoutesDeps): void {
  server.addHook("onResponse", (request, reply, done) => {
    const labels = { method: methodOf(request), route: request.routeOptions.url ?? NO_ROUTE };
    meter.count("eddy_http_requests_total", 1, { ...labels, status: String(reply.statusCode) });
    meter.observe("eddy_http_request_seconds", reply.elapsedTime / 1_000, labels);
    done();
  });
  server.get("/metrics", async (_, reply) => {
    const text = await metrics.text();
    return reply.header("content-type", metrics.contentType).header("cache-control", "no-store").send(text);
  });
}

const NO_ROUTE = "none";
/** Of a request without a route it is anything. */
function methodOf({ method, routeOptions }: FastifyRequest): string {
  return routeOptions.url === undefined ? NO_ROUTE : method;
}
