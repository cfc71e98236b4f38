// Bundles the console: node build.mjs [--out DIR] [--watch]. The entry page is never cached, everything that it names
// has a hash in its name and is good for ever. Each file lies there compressed, too, so that the server needs no
// compression of its own for them.

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const flag = process.argv.indexOf("--out");
const out = flag < 0 ? join(here, "dist") : process.argv[flag + 1];

/** Files that are smaller gain nothing. */
const COMPRESS_FROM_BYTES = 512;

export async function bundle(folder) {
  const admin = join(folder, "admin");
  await rm(folder, { recursive: true, force: true });
  await mkdir(admin, { recursive: true });
  const result = await build({
    entryPoints: [join(here, "src/admin.tsx")],
    outdir: admin,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    minify: true,
    metafile: true,
    charset: "utf8",
    legalComments: "linked",
    entryNames: "[name]-[hash]",
    chunkNames: "chunk-[hash]",
    assetNames: "[name]-[hash]",
    logLevel: "warning",
  });
  const made = Object.keys(result.metafile.outputs).map((path) => path.split("/").at(-1));
  const script = made.find((name) => /^admin-\w+\.js$/.test(name));
  const style = made.find((name) => /^admin-\w+\.css$/.test(name));
  const page = await readFile(join(here, "admin.html"), "utf8");
  await writeFile(join(admin, "index.html"), page.replace("SCRIPT", script).replace("STYLE", style));
  await writeFile(join(admin, "icon.svg"), await readFile(join(here, "src/icon.svg")));
  await writeFile(join(admin, "notices.txt"), await notices());
  await compress(admin);
  return result.metafile;
}

/** The licences of what is bundled: all of them want to be carried along. */
async function notices() {
  const parts = [];
  for (const name of ["preact", "@preact/signals", "@preact/signals-core"]) {
    const folder = join(here, "node_modules", name);
    const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(join(folder, file), "utf8") : "MIT";
    parts.push(`${name} ${version}\n\n${text.trim()}\n`);
  }
  return parts.join("\n----\n\n");
}

async function compress(folder) {
  for (const name of await readdir(folder)) {
    const bytes = await readFile(join(folder, name));
    if (bytes.length < COMPRESS_FROM_BYTES) continue;
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
    await writeFile(join(folder, `${name}.gz`), gzipSync(bytes, { level: 9 }));
    await writeFile(join(folder, `${name}.br`), brotliCompressSync(bytes, { params }));
  }
}


if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle(out);
