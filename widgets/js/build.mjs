// Bundles the browser half into one ES module and one style sheet: `npm ci && npm run build`.
// `node build.mjs --out DIR` writes elsewhere, for the test that the committed bundle matches its source.
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { gzipSync } from "node:zlib";

const here = path.dirname(fileURLToPath(import.meta.url));
const at = process.argv.indexOf("--out");
const outdir = at > 0 ? path.resolve(process.argv[at + 1]) : path.join(here, "..", "static");

await build({
  absWorkingDir: here,
  entryPoints: { amtsep: "src/index.ts" },
  outdir,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  charset: "utf8",
  logLevel: "warning",
});
await build({
  absWorkingDir: here,
  entryPoints: { amtsep: "src/style.css" },
  outdir,
  bundle: true,
  minify: true,
  charset: "utf8",
  logLevel: "warning",
});
// The engraver of the score comes along whole and unchanged, packed; the page unpacks it when a score is looked at.
const engine = readFileSync(path.join(here, "node_modules/verovio/dist/verovio-toolkit-wasm.js"));
writeFileSync(path.join(outdir, "verovio.js.gz"), gzipSync(engine, { level: 9 }));
