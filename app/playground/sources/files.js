// @ts-check
/** Videos and poses that a person drops or chooses. */

import { describeError, PageError } from "../context.js";
import { element } from "../dom.js";
import { readPose, unpackPose } from "../pose/reader.js";
import { makeClipOfVideo } from "./estimated.js";
import { runInPlace } from "./runs.js";

/** @typedef {import("../context.js").Context} Context */

const VIDEO_NAMES = /\.(mp4|m4v|mov|webm|mkv|avi|ogv|gif|mpe?g|ts|3gp|wmv|flv)$/i;
const POSE_NAMES = /\.pose(\.(gz|zst))?$/i;

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const { t, signal } = context;
  const place = element("div", { class: "stack" });
  const input = element("input", { type: "file", class: "visually-hidden", id: "file", accept: "video/*,.pose,.gz,.zst,.gif,.mkv", multiple: true });
  const choose = element("button", { type: "button", class: "quiet", onclick: () => input.click() }, t("source.choose"));
  input.tabIndex = -1;
  input.setAttribute("aria-hidden", "true");
  const zone = element("div", { class: "drop" }, element("span", {}, t("source.drop")), choose, input, element("p", { class: "hint" }, t("source.fileHint")));
  /** @param {FileList | null | undefined} files */
  const open = (files) => runInPlace(context, place, (run) => openFiles(context, [...(files ?? [])], run));
  input.addEventListener("change", () => {
    open(input.files);
    input.value = "";
  });
  // Anywhere on the page, because a file that misses the zone would replace the page.
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  }, { signal });
  window.addEventListener("dragleave", () => zone.classList.remove("over"), { signal });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    open(event.dataTransfer?.files);
  }, { signal });
  return element("section", { class: "source", id: "files" }, element("h3", {}, t("source.files")), zone, place);
}

/**
 * Open files one after the other; the last one becomes the current clip. One that cannot be opened holds up no other.
 *
 * @param {Context} context
 * @param {File[]} files
 * @param {HTMLElement} place
 */
async function openFiles(context, files, place) {
  for (const file of files) {
    const own = element("div", { class: "stack" });
    place.append(own);
    try {
      await openFile(context, file, own);
    } catch (error) {
      context.showError(error, own);
    }
  }
}

/**
 * @param {Context} context
 * @param {File} file
 * @param {HTMLElement} place
 * @throws {PageError} it is neither a video nor a pose.
 */
async function openFile(context, file, place) {
  const isPose = POSE_NAMES.test(file.name);
  const name = file.name.replace(isPose ? POSE_NAMES : /\.[^.]+$/, "") || file.name;
  if (isPose) {
    const clip = context.session.add({ name, origin: "pose", pose: await readPoseFile(context, file), video: null, extractor: "file" });
    context.announce(context.t("estimation.done", { name, frames: clip.decoded.frames }));
  } else if (file.type.startsWith("video/") || file.type === "image/gif" || VIDEO_NAMES.test(file.name)) {
    await makeClipOfVideo(context, { name, origin: "video", video: file, place });
  } else {
    throw new PageError("file_unknown", { name: file.name });
  }
}

/**
 * @param {Context} context
 * @param {File} file
 * @returns {Promise<Uint8Array>}
 * @throws {PageError} it is no pose, or packed in a way that this browser cannot unpack.
 */
async function readPoseFile({ t }, file) {
  try {
    const bytes = await unpackPose(new Uint8Array(await file.arrayBuffer()));
    readPose(bytes);
    return bytes;
  } catch (error) {
    throw new PageError("pose_damaged", { name: file.name, reason: describeError(error, t) });
  }
}
