/**
 * Tokens, and the file that says what each allows. The file holds hashes alone: whoever reads it cannot use them. Plain
 * SHA-256 is enough, for tokens are 256 random bits: there is nothing to guess, so nothing that a slow or salted hash
 * would slow down, and each request can afford it.
 */
import { createHash, randomBytes } from "node:crypto";
import { slug } from "@eddy/schemas";
import { ConfigError } from "@eddy/clients/errors";
import { parseDocument } from "yaml";
import { z } from "zod";
import { SCOPES, type Grant, type Scope } from "./scopes.js";

const TOKEN_BYTES = 32;
/** By this, people and scanners of repositories know one when they see it. */
const TOKEN_PREFIX = "eddy_";
/** Each is compared with each request. */
const TOKENS_MAX = 256;
const HASH = /^sha256:[0-9a-f]{64}$/;

const entry = z
  .strictObject({
    name: z.string().min(1).max(64),
    hash: z.string().regex(HASH, "expected sha256: and 64 hexadecimal digits, as `eddy token create` prints it"),
    scopes: z.array(z.enum(SCOPES)).min(1),
    apps: z.array(slug).min(1).optional(),
  })
  .refine(({ scopes, apps }) => apps === undefined || scopes.every((scope) => scope === "work" || scope === "send"), {
    message: "binds workers alone: read, operate and peer are over all apps, and need a token without apps",
    path: ["apps"],
    when: () => true,
  });
const file = z.array(entry).max(TOKENS_MAX);
export type TokenEntry = z.infer<typeof entry>;

/** One token as the file has it. */
export interface KnownToken {
  readonly digest: Buffer;
  readonly grant: Grant;
}

/** @returns a new token: it is shown once, and kept by whoever uses it. */
export function makeToken(): string {
  return TOKEN_PREFIX + randomBytes(TOKEN_BYTES).toString("base64url");
}

export function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

export interface Allowed {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Empty: all. */
  readonly apps: readonly string[];
}

/** The line of the tokens file. @throws ConfigError */
export function lineOf(token: string, { name, scopes, apps }: Allowed): string {
  const hash = `sha256:${digestOf(token).toString("hex")}`;
  const made = { name, hash, scopes, ...(apps.length === 0 ? {} : { apps }) };
  const issue = entry.safeParse(made).error?.issues[0];
  if (issue !== undefined) throw new ConfigError(`${issue.path.join(".")}: ${issue.message}`);
  return `- ${JSON.stringify(made)}`; // JSON is YAML
}

/** @throws ConfigError that names the path of the file and what is wrong, but nothing of its content. */
export function readTokens(text: string, path: string): readonly KnownToken[] {
  const document = parseDocument(text, { prettyErrors: false });
  const [broken] = document.errors;
  if (broken !== undefined) throw new ConfigError(`the tokens file ${path} is not YAML (${broken.code})`, { path });
  const parsed = file.safeParse(document.toJS() ?? []);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `[${issue.path.join(".")}] ${issue.message}`);
    throw new ConfigError(`the tokens file ${path} has problems:\n  ${problems.join("\n  ")}`, { path, problems });
  }
  const repeated = parsed.data.find(({ name }, i) => parsed.data.findIndex((other) => other.name === name) !== i);
  if (repeated !== undefined) {
    throw new ConfigError(`the tokens file ${path} has the name ${JSON.stringify(repeated.name)} twice`, { path });
  }
  return parsed.data.map(({ name, hash, scopes, apps }) => ({
    digest: Buffer.from(hash.slice("sha256:".length), "hex"),
    grant: { name, hash, scopes: new Set(scopes), apps: apps === undefined ? null : new Set(apps) },
  }));
}
