// Copies what the playground needs of @mediapipe/holistic into app/playground/vendor, and writes their digests beside them.
// `npm ci` has checked the package against package-lock.json before.
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// The models of complexity 0 and 2, and the build for browsers without SIMD, are not needed: 44 MB less.
const FILES = [
  "holistic.js",
  "holistic.binarypb",
  "holistic_solution_packed_assets_loader.js",
  "holistic_solution_packed_assets.data",
  "holistic_solution_simd_wasm_bin.js",
  "holistic_solution_simd_wasm_bin.wasm",
  "pose_landmark_full.tflite",
];

const page = dirname(fileURLToPath(import.meta.url));
const source = join(page, "..", "..", "node_modules", "@mediapipe", "holistic");
const target = join(page, "vendor");
const made = `${target}.part`;

await rm(made, { recursive: true, force: true });
await mkdir(join(made, "holistic"), { recursive: true });
const digests = {};
for (const name of FILES) {
  await cp(join(source, name), join(made, "holistic", name));
  digests[`holistic/${name}`] = createHash("sha256").update(await readFile(join(source, name))).digest("hex");
}
const { version, license } = JSON.parse(await readFile(join(source, "package.json"), "utf8"));
const manifest = { package: "@mediapipe/holistic", version, license, sha256: digests };
await writeFile(join(made, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
await rm(target, { recursive: true, force: true });
await rename(made, target);
console.log(`The pose estimator lies in ${target}.`);
