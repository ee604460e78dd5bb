/**
 * What stands in for Node's image where no registry can be asked: Debian by debootstrap, Node and npm as packages of the npm
 * registry. It is made once and kept among buildah's images.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildah, command } from "./container.js";

const SUITE = "bookworm";
const MIRROR = "http://deb.debian.org/debian";
const NPM_MAJOR = 11;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** @param major of Node. @returns the image's name */
export function baseImage(major: number, print: (line: string) => void): string {
  const name = `localhost/eddy-node-base:${major}`;
  if (spawnSync("buildah", ["inspect", "--type", "image", name], { stdio: "ignore" }).status === 0) return name;
  print(`making ${name}: Debian ${SUITE} by debootstrap, Node ${major} from the npm registry`);
  const folder = mkdtempSync(join(tmpdir(), "eddy-base-"));
  try {
    const root = join(folder, "root");
    command("debootstrap", ["--variant=minbase", "--include=ca-certificates", SUITE, root, MIRROR]);
    addNode(root, join(folder, "npm"), major);
    command("chroot", [root, "groupadd", "-g", "1000", "node"]);
    command("chroot", [root, "useradd", "-u", "1000", "-g", "1000", "node"]);
    const certificates = addCertificates(root);
    const archive = join(folder, "root.tar");
    command("tar", ["-C", root, "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*", "-cf", archive, "."]);
    const container = buildah(["from", "scratch"]);
    buildah(["add", "--quiet", container, archive, "/"]);
    buildah(["config", "--env", `PATH=${PATH}`, ...certificates, "--cmd", "node", container]);
    buildah(["commit", "--quiet", "--rm", container, name]);
    return name;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function addNode(root: string, folder: string, major: number): void {
  const node = `node-linux-${process.arch}`;
  const packages = [`${node}@${major}`, `npm@${NPM_MAJOR}`];
  command("npm", ["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", ...packages]);
  const modules = join(root, "usr/local/lib/node_modules");
  mkdirSync(modules, { recursive: true });
  cpSync(join(folder, "node_modules/npm"), join(modules, "npm"), { recursive: true });
  copyFileSync(join(folder, "node_modules", node, "bin/node"), join(root, "usr/local/bin/node"));
  for (const name of ["npm", "npx"]) {
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, "usr/local/bin", name));
  }
}

/** Where this machine goes out through a proxy with a certificate of its own, the build has to trust that, too. */
function addCertificates(root: string): readonly string[] {
  const given = process.env["NODE_EXTRA_CA_CERTS"];
  if (given === undefined || !existsSync(given)) return [];
  const path = "/usr/local/share/ca-certificates/extra.crt";
  copyFileSync(given, join(root, path));
  return ["--env", `NODE_EXTRA_CA_CERTS=${path}`];
}
