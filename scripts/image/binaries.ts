/** Are the binaries that the image's packages bring there for ARM, too? Told without a machine that is one. */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const PLATFORMS = ["linux-x64", "linux-arm64"] as const;
/** `e_machine` of ELF. */
const MACHINES: Readonly<Record<string, number>> = { "linux-x64": 62, "linux-arm64": 183 };
const E_MACHINE_AT = 18;

/**
 * @param app the image's /app. @param root of the repository, whose packages have the binaries of all platforms
 * @returns what is missing or of another machine; empty: nothing
 */
export function binaryProblems(app: string, root: string): readonly string[] {
  const files = readdirSync(app, { recursive: true, encoding: "utf8" });
  const prebuilt = files.filter((path) => /\/prebuilds\/[^/]+\/[^/]+\.(node|bare)$/.test(path));
  const problems = prebuilt.length === 0 ? ["no prebuilt binary was found in the image"] : [];
  for (const path of prebuilt) {
    for (const platform of PLATFORMS) {
      const file = join(root, dirname(dirname(path)), platform, basename(path));
      const machine = existsSync(file) ? machineOf(file) : null;
      if (machine !== MACHINES[platform]) problems.push(`${path}: for ${platform} there is ${machine ?? "none"}`);
    }
  }
  const ofOnePlatform = files.filter((path) => /-linux-(x64|arm64)\/package\.json$/.test(path)).map(dirname);
  return [...problems, ...missingInLock(ofOnePlatform, root)];
}

function machineOf(file: string): number {
  const bytes = Buffer.alloc(E_MACHINE_AT + 2);
  const handle = openSync(file, "r");
  readSync(handle, bytes, 0, bytes.length, 0);
  closeSync(handle);
  return bytes.readUInt16LE(E_MACHINE_AT);
}

/** Packages of one platform each, of which npm installs those of the machine that it runs on. */
function missingInLock(folders: readonly string[], root: string): readonly string[] {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as { packages: object };
  const wanted = folders.flatMap((path) => PLATFORMS.map((platform) => path.replace(/linux-(x64|arm64)$/, platform)));
  return wanted.filter((path) => !(path in packages)).map((path) => `package-lock.json has no ${path}`);
}
