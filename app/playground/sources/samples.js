// @ts-check
/** Clips that came with the service: one click to a first result. */

import { append, element } from "../dom.js";
import { unpackPose } from "../pose/reader.js";
import { nameSignLanguage } from "../sign_languages.js";
import { makeClipOfVideo } from "./estimated.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("./runs.js").Place} Place */
/** @typedef {import("./runs.js").Run} Run */
/** @typedef {{name: string, kind: "pose" | "video", text: string, sign_language: string, shows: string, licence: string}} Sample */

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const list = element("ul", { class: "samples" });
  const note = element("div", {});
  const place = context.runs.takePlace("samples", context);
  const { service, signal } = context;
  service.persist(() => show(context, { list, note, place }), { signal, onError: (error) => context.showError(error, note) });
  return element("section", { class: "source", id: "samples" }, element("h3", {}, context.t("source.samples")), list, note, place.root);
}

/**
 * @param {Context} context
 * @param {{list: HTMLElement, note: HTMLElement, place: Place}} parts
 */
async function show(context, { list, note, place }) {
  const { samples } = await context.api.call("/samples", { signal: context.signal });
  note.replaceChildren();
  if (!samples.length) append(note, element("p", { class: "hint" }, context.t("samples.none")));
  for (const [tag, group] of groupByLanguage(samples)) {
    const language = context.features.languages.find((one) => one.tag === tag) ?? { tag, name: tag };
    const name = nameSignLanguage(language, context.t);
    const buttons = group.map((sample) => makeButton(context, { sample, language: name, place }));
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
 * @param {{sample: Sample, language: string, place: Place}} parts
 */
function makeButton({ t }, { sample, language, place }) {
  const label = sample.kind === "video" ? `${sample.text} (${t("samples.video")})` : sample.text;
  // The service describes its samples in English.
  const shows = t.language === "en" ? sample.shows : `${label}, ${language}`;
  const open = () => place.run((run) => openSample(run, sample));
  return element("button", { type: "button", class: "chip letter", title: `${shows}; ${sample.licence}`, "aria-label": shows, onclick: open }, label);
}

/**
 * @param {Run} run
 * @param {Sample} sample
 */
async function openSample(run, sample) {
  // Browsers unpack no zstd; the service answers the unpacked clip by its plain name.
  const file = sample.name.replace(/\.zst$/, "");
  const blob = await run.context.api.file(`/samples/${file}`);
  const name = `${sample.text} (${sample.sign_language})`;
  if (sample.kind === "video") {
    await makeClipOfVideo(run, { name, origin: "sample", video: blob });
    return;
  }
  const pose = await unpackPose(new Uint8Array(await blob.arrayBuffer()));
  run.context.session.setLanguages({ signLanguage: sample.sign_language });
  const clip = run.context.session.add({ name, origin: "sample", pose, video: null, extractor: "file" });
  run.context.announce(run.context.t("estimation.done", { name, frames: clip.decoded.frames }));
}
