# One image for the engine, which is the gateway as well, its command line, the SDK and an example worker.
#   docker build -t eddy .                              buildah bud --isolation chroot -t eddy .
#   docker run --rm -p 8288:8288 -v eddy-data:/data eddy
# `npm run test:image` builds and tries it; see docs/operate/image.md.

# Debian with Node, npm and apt.
ARG NODE_IMAGE=docker.io/library/node:24-slim
# What it runs on: Node, and a C++ library of the same Debian or a newer one. It needs no shell: a distroless image will do.
ARG RUNTIME_IMAGE=${NODE_IMAGE}

FROM ${NODE_IMAGE} AS build
# rocksdb-native is linked against libatomic, which slim images lack.
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1
WORKDIR /src
COPY . .
RUN npm ci --no-audit --no-fund && npx tsc -b engine sdk examples/cart-abandonment
# What they need at run time alone; of prebuilt binaries, this platform's.
RUN npm ci --no-audit --no-fund --omit=dev --omit=peer \
      --workspace @eddy/engine --workspace @eddy/sdk --workspace @eddy/example-cart-abandonment \
  && find . -path '*/prebuilds/*' -prune -type d ! -name "linux-$(node -p process.arch)" -exec rm -rf {} + \
  && find node_modules -xtype l -delete
RUN mkdir -p /image/app/lib /image/data \
  && cp --parents -a package.json node_modules /image/app/ \
  && for room in schemas clients engine sdk examples/cart-abandonment; do \
       cp --parents -a "$room/package.json" "$room/dist" /image/app/; \
       if [ -d "$room/node_modules" ]; then cp --parents -a "$room/node_modules" /image/app/; fi; \
     done \
  && cp -L /usr/lib/*/libatomic.so.1 /image/app/lib/ \
  && find /image/app -xtype l -delete \
  && chown -R 0:0 /image/app && chmod -R go-w /image/app && chown 1000:1000 /image/data

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Eddy" \
      org.opencontainers.image.description="Durable functions that wait for events, on Kafka." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /image /
ENV NODE_ENV=production \
    EDDY_HOST=0.0.0.0 \
    EDDY_DATA_DIR=/data \
    LD_LIBRARY_PATH=/app/lib \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/nodejs/bin
WORKDIR /app
# `node` in Node's images. A number, so that Kubernetes can see that it is not root.
USER 1000:1000
# All that it writes to.
VOLUME /data
EXPOSE 8288
# Takes nothing new, finishes what is under way, checkpoints, leaves the group, ends with 0: within 30 s.
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s --interval=10s --timeout=5s \
  CMD ["node", "-e", "const s = process.env.EDDY_TLS_CERT ? 'https' : 'http'; require(s).get(s + '://127.0.0.1:' + (process.env.EDDY_PORT || 8288) + '/health/live', { rejectUnauthorized: false }, (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["node", "engine/dist/cli/eddy.js"]
CMD ["dev"]
