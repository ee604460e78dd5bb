import { describe, expect, it } from "vitest";
import { APP } from "../drills/flow.js";
import { brokerAddress, kafkaManifests, workerCode, workerConfigMap, workerValues } from "./manifests.js";

describe("what the cluster test brings along", () => {
  it("has the shop's functions as a module that imports nothing", async () => {
    const { "flow.mjs": flow = "" } = workerCode();
    expect(flow).not.toMatch(/^import /m);
    const url = `data:text/javascript,${encodeURIComponent(flow)}`;
    const module = (await import(/* @vite-ignore */ url)) as Record<string, unknown>;
    expect(module["APP"]).toBe(APP);
    expect(module["shopFunctions"]).toBeTypeOf("function");
  });
  it("mounts the workers' code where the image's SDK is found", () => {
    const map = workerConfigMap() as { metadata: { name: string }; data: object };
    const { args, volumes, volumeMounts } = workerValues(1_000) as {
      args: readonly string[];
      volumes: readonly { configMap: { name: string } }[];
      volumeMounts: readonly { mountPath: string }[];
    };
    expect(volumes[0]?.configMap.name).toBe(map.metadata.name);
    expect(args).toEqual([`${volumeMounts[0]?.mountPath}/${Object.keys(map.data)[1]}`]);
    expect(args[0]).toMatch(/^\/app\//);
  });
  it("tells clients the address under which Kafka's service is", () => {
    const text = JSON.stringify(kafkaManifests("ns"));
    expect(brokerAddress("ns")).toBe("kafka.ns.svc:9092");
    expect(text).toContain(`PLAINTEXT://${brokerAddress("ns")}`);
  });
});
