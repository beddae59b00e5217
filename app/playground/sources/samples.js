// @ts-check
/** Clips that came with the service: one click to a first result. */

import { append, element } from "../dom.js";
import { unpackPose } from "../pose/reader.js";
import { makeClipOfVideo } from "./estimated.js";
import { runInPlace } from "./runs.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {{name: string, kind: "pose" | "video", text: string, sign_language: string, shows: string, licence: string}} Sample */

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const list = element("ul", { class: "samples" });
  const place = element("div", { class: "stack" });
  const { service, signal } = context;
  service.persist(() => show(context, list, place), { signal, onError: (error) => context.showError(error, place) });
  return element("section", { class: "source", id: "samples" }, element("h3", {}, context.t("source.samples")), list, place);
}

/**
 * @param {Context} context
 * @param {HTMLElement} list
 * @param {HTMLElement} place
 */
async function show(context, list, place) {
  const { samples } = await context.api.call("/samples", { signal: context.signal });
  place.replaceChildren();
  if (!samples.length) append(place, element("p", { class: "hint" }, context.t("samples.none")));
  for (const [tag, group] of groupByLanguage(samples)) {
    const name = context.features.languages.find((language) => language.tag === tag)?.name ?? tag;
    const buttons = group.map((sample) => makeButton(context, sample, place));
    list.append(element("li", {}, element("span", {}, name), element("span", { class: "row" }, ...buttons)));
  }
}

/**
 * @param {Sample[]} samples
 * @returns {Map<string, Sample[]>}
 */
function groupByLanguage(samples) {
  /** @type {Map<string, Sample[]>} */
  const groups = new Map();
  for (const sample of samples) groups.set(sample.sign_language, [...(groups.get(sample.sign_language) ?? []), sample]);
  return groups;
}

/**
 * @param {Context} context
 * @param {Sample} sample
 * @param {HTMLElement} place
 */
function makeButton(context, sample, place) {
  const label = sample.kind === "video" ? `${sample.text} (${context.t("samples.video")})` : sample.text;
  const open = () => runInPlace(context, place, (run) => openSample(context, sample, run));
  return element("button", { type: "button", class: "chip letter", title: `${sample.shows}; ${sample.licence}`, "aria-label": sample.shows, onclick: open }, label);
}

/**
 * @param {Context} context
 * @param {Sample} sample
 * @param {HTMLElement} place
 */
async function openSample(context, sample, place) {
  // Browsers unpack no zstd; the service answers the unpacked clip by its plain name.
  const file = sample.name.replace(/\.zst$/, "");
  const blob = await context.api.file(`/samples/${file}`);
  const name = `${sample.text} (${sample.sign_language})`;
  if (sample.kind === "video") {
    await makeClipOfVideo(context, { name, origin: "sample", video: blob, place });
    return;
  }
  const pose = await unpackPose(new Uint8Array(await blob.arrayBuffer()));
  context.session.setLanguages({ signLanguage: sample.sign_language });
  const clip = context.session.add({ name, origin: "sample", pose, video: null, extractor: "file" });
  context.announce(context.t("estimation.done", { name, frames: clip.decoded.frames }));
}
