// Bundles viewer.jsx into one script: `node bundle.mjs NODE_MODULES OUTFILE`.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [modules, outfile] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const { build } = createRequire(join(modules, "x.js"))("esbuild");

await build({
  entryPoints: [join(here, "viewer.jsx")],
  outfile,
  bundle: true,
  minify: true,
  jsx: "automatic",
  nodePaths: [modules],
  alias: { "react-custom-scrollbars-2": join(here, "scrollbars.jsx") },
  define: { "process.env.NODE_ENV": '"production"', global: "window" },
  loader: { ".svg": "dataurl", ".woff2": "dataurl", ".ttf": "dataurl" },
  logLevel: "error",
});
