/** A configuration file: one YAML mapping. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import { ConfigError } from "@eddy/clients/errors";
import type { Source } from "./read-config.js";

/** @throws ConfigError where it cannot be read, or is not YAML. Its text is not repeated: it may hold secrets. */
export function fileSource(path: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(read(path), { prettyErrors: false, lineCounter: lines });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new ConfigError(`${path} is not YAML: line ${line}, column ${col} (${problem.code})`, { path, line, col });
  }
  const content = document.toJS() as unknown;
  if (content !== null && (typeof content !== "object" || Array.isArray(content))) {
    throw new ConfigError(`${path} holds no keys: expected lines such as \`brokers: [localhost:9092]\``, { path });
  }
  return {
    nameOf: (keys) => `${basename(path)}: ${keys.join(".")}`,
    values: Object.entries(content ?? {}).map(([key, value]) => [[key], value as unknown]),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new ConfigError(`the configuration file ${path} cannot be read (${reason})`, { path, reason }, { cause });
  }
}
