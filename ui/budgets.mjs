// How much the browser has to load, compressed: node budgets.mjs [DIR of a bundle]. Ends with 1 when it is too much.

import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "./build.mjs";

/** What the console may take on its first page, in bytes of gzip; with one language. */
const SCRIPT_BYTES_MAX = 90 * 1024;
const STYLE_BYTES_MAX = 15 * 1024;

const folder = process.argv[2] ?? (await mkdtemp(join(tmpdir(), "sterna-ui-")));
if (!process.argv[2]) await bundle(folder);
const admin = join(folder, "admin");
const names = await readdir(admin);
const size = async (name) => (await stat(join(admin, names.includes(`${name}.gz`) ? `${name}.gz` : name))).size;
const sum = async (some) => (await Promise.all(some.map(size))).reduce((all, one) => all + one, 0);

const scripts = names.filter((name) => name.endsWith(".js"));
const texts = [];
for (const name of scripts.filter((name) => name.startsWith("chunk-"))) {
  if ((await readFile(join(admin, name), "utf8")).includes("console.nav.overview")) texts.push(name);
}
const largestText = Math.max(...(await Promise.all(texts.map(size))));
const script = (await sum(scripts.filter((name) => !texts.includes(name)))) + largestText;
const style = await sum(names.filter((name) => name.endsWith(".css")));
if (!process.argv[2]) await rm(folder, { recursive: true });

const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} kB`;
console.log(`scripts ${kilobytes(script)} of ${kilobytes(SCRIPT_BYTES_MAX)}, styles ${kilobytes(style)} of ${kilobytes(STYLE_BYTES_MAX)}`);
if (texts.length !== 3) {
  console.error(`the languages should be three chunks of their own, and are ${texts.length}`);
  process.exit(1);
}
if (script > SCRIPT_BYTES_MAX || style > STYLE_BYTES_MAX) {
  console.error("the console has grown beyond its budget: leave something out, or load it only where it is needed");
  process.exit(1);
}
