# The engine and its command line. Begun: the operations work adds the image's tests, labels and hardening.
#   docker build -t eddy .
#   docker run --rm -p 8288:8288 -v eddy-data:/data eddy
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY . .
RUN npm ci --no-audit --no-fund && npx tsc -b engine

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY . .
# What the engine needs at run time alone; of RocksDB's prebuilt binaries, this platform's.
RUN npm ci --no-audit --no-fund --omit=dev --omit=peer --workspace @eddy/engine \
  && find node_modules -path '*/prebuilds/*' -prune -type d ! -name "linux-$(node -p process.arch)" -exec rm -rf {} +

FROM ${NODE_IMAGE}
# rocksdb-native is linked against libatomic, which slim images lack.
RUN apt-get update \
  && apt-get install -y --no-install-recommends libatomic1 \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o node -g node /data
WORKDIR /app
ENV NODE_ENV=production EDDY_HOST=0.0.0.0 EDDY_DATA_DIR=/data
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /src/package.json ./
COPY --from=build /src/schemas/package.json ./schemas/
COPY --from=build /src/schemas/dist ./schemas/dist
COPY --from=build /src/clients/package.json ./clients/
COPY --from=build /src/clients/dist ./clients/dist
COPY --from=build /src/engine/package.json ./engine/
COPY --from=build /src/engine/dist ./engine/dist
USER node
VOLUME /data
EXPOSE 8288
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8288/health/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "engine/dist/cli/eddy.js"]
CMD ["dev"]
