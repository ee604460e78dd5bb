/**
 * Apache Kafka for the local Java, without an installation: jars by Maven into .cache/kafka/<version>, once, and a
 * formatted storage directory as a template, which saves each start a second JVM.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KAFKA_VERSION, ProviderUnusable } from "./cluster.js";

const LOG4J_VERSION = "2.25.5";
const JAVA_VERSION_MIN = 17;
export const MAVEN_MS_MAX = 600_000;
const FORMAT_MS_MAX = 60_000;

export interface JavaDistribution {
  readonly java: string;
  readonly classPath: string;
  /** A formatted storage directory of node 1. */
  readonly template: string;
  readonly log4jConfig: string;
}

/** @throws ProviderUnusable without Java or Maven. */
export async function javaDistribution(print: (line: string) => void): Promise<JavaDistribution> {
  const java = await findJava();
  const cache = join(import.meta.dirname, "../../.cache/kafka", KAFKA_VERSION);
  const jars = join(cache, "jars");
  const template = join(cache, "template");
  await mkdir(cache, { recursive: true });
  if (!existsSync(jars)) {
    print(`resolving Apache Kafka ${KAFKA_VERSION} with Maven, once`);
    await resolveJars(cache, jars);
  }
  const log4jConfig = join(cache, "log4j2.properties");
  await writeFile(log4jConfig, LOG4J_CONFIG);
  const distribution = { java, classPath: join(jars, "*"), template, log4jConfig };
  if (!existsSync(template)) await formatTemplate(distribution, cache);
  return distribution;
}

/** @throws ProviderUnusable without a Java that is new enough */
export async function findJava(): Promise<string> {
  const home = process.env["JAVA_HOME"];
  const java = home === undefined || home === "" ? "java" : join(home, "bin/java");
  const { code, output } = await runToEnd(java, ["-version"], FORMAT_MS_MAX);
  const version = Number(/version "(\d+)/.exec(output)?.[1] ?? 0);
  if (code !== 0) throw new ProviderUnusable(`no Java: ${java} -version ended with ${code}`);
  if (version < JAVA_VERSION_MIN)
    throw new ProviderUnusable(`Java ${version} is too old, Kafka needs ${JAVA_VERSION_MIN}`);
  return java;
}

async function resolveJars(cache: string, jars: string): Promise<void> {
  const scratch = `${jars}.${process.pid}`;
  const pom = join(cache, `pom.${process.pid}.xml`);
  await writeFile(pom, POM);
  const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
  const args = ["-B", "-q", "-f", pom, goal, "-DincludeScope=runtime", `-DoutputDirectory=${scratch}`];
  const { code, output } = await runToEnd("mvn", args, MAVEN_MS_MAX);
  await rm(pom, { force: true });
  if (code !== 0) {
    await rm(scratch, { recursive: true, force: true });
    throw new ProviderUnusable(`Maven could not resolve Apache Kafka ${KAFKA_VERSION} (exit ${code}): ${tail(output)}`);
  }
  await moveInto(scratch, jars);
}

/** Two runs may prepare the same thing at once: whoever is second throws its own away. */
export async function moveInto(scratch: string, target: string): Promise<void> {
  try {
    await rename(scratch, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
    await rm(scratch, { recursive: true, force: true });
  }
}

async function formatTemplate({ java, classPath, log4jConfig, template }: JavaDistribution, cache: string) {
  const scratch = `${template}.${process.pid}`;
  const properties = join(cache, `template.${process.pid}.properties`);
  await writeFile(
    properties,
    [
      "process.roles=broker,controller",
      "node.id=1",
      "controller.quorum.voters=1@127.0.0.1:1",
      "listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1",
      "controller.listener.names=CONTROLLER",
      `log.dirs=${scratch}`,
    ].join("\n"),
  );
  const jvm = ["-Xmx128m", "-XX:TieredStopAtLevel=1", `-Dlog4j2.configurationFile=${log4jConfig}`, "-cp", classPath];
  const tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties];
  const { code, output } = await runToEnd(java, [...jvm, ...tool], FORMAT_MS_MAX);
  await rm(properties, { force: true });
  if (code !== 0) throw new Error(`formatting a Kafka storage directory failed (exit ${code}): ${tail(output)}`);
  await moveInto(scratch, template);
}

/** Copies the template to be the storage of node `id`. */
export async function formatStorage(template: string, directory: string, id: number): Promise<void> {
  await cp(template, directory, { recursive: true });
  const path = join(directory, "meta.properties");
  const lines = (await readFile(path, "utf8")).split("\n");
  const rewritten = lines.map((line) => {
    if (line.startsWith("node.id=")) return `node.id=${id}`;
    return line.startsWith("directory.id=") ? `directory.id=${directoryId(id)}` : line;
  });
  await writeFile(path, rewritten.join("\n"));
}

/** Any id does, as long as no two directories share it: 16 bytes in Kafka's base64. */
function directoryId(node: number): string {
  return Buffer.from(`eddy-test-node-${node}`.padEnd(16).slice(0, 16)).toString("base64url");
}

export interface Ended {
  /** 127: it could not be started. */
  readonly code: number;
  readonly output: string;
}

export function runToEnd(command: string, args: readonly string[], msMax: number): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], timeout: msMax, killSignal: "SIGKILL" });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", (error) => resolve({ code: 127, output: error.message }));
    child.once("close", (code) => resolve({ code: code ?? 137, output }));
  });
}

export const tail = (output: string): string => output.trim().split("\n").slice(-5).join(" | ");

/** 16 bytes in Kafka's base64. */
const CLUSTER_ID = Buffer.from("eddy-test-kafka!").toString("base64url");

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>eddy</groupId><artifactId>kafka-for-tests</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>${LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;

/** Warnings, and the line that says that the broker has started. */
const LOG4J_CONFIG = `rootLogger.level = WARN
rootLogger.appenderRef.stdout.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1} %m%n
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = INFO
`;
