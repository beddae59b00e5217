// @ts-check
/** Videos and poses that a person drops or chooses. */

import { describeError, PageError } from "../context.js";
import { element } from "../dom.js";
import { readPose, unpackPose } from "../pose/reader.js";
import { makeClipOfVideo } from "./estimated.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("./runs.js").Place} Place */
/** @typedef {import("./runs.js").Run} Run */

const VIDEO_NAMES = /\.(mp4|m4v|mov|webm|mkv|avi|ogv|gif|mpe?g|ts|3gp|wmv|flv)$/i;
const POSE_NAMES = /\.pose(\.(gz|zst))?$/i;

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const { t, signal } = context;
  const place = context.runs.takePlace("files", context);
  const input = element("input", { type: "file", class: "visually-hidden", id: "file", accept: "video/*,.pose,.gz,.zst,.gif,.mkv", multiple: true });
  const choose = element("button", { type: "button", class: "quiet", onclick: () => input.click() }, t("source.choose"));
  input.tabIndex = -1;
  input.setAttribute("aria-hidden", "true");
  const zone = element("div", { class: "drop" }, element("span", {}, t("source.drop")), choose, input, element("p", { class: "hint" }, t("source.fileHint")));
  /** @param {FileList | null | undefined} files */
  const open = (files) => openFiles(place, [...(files ?? [])]);
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
  return element("section", { class: "source", id: "files" }, element("h3", {}, t("source.files")), zone, place.root);
}

/**
 * Open files one after the other; the last one becomes the current clip. One that cannot be opened holds up no other.
 *
 * @param {Place} place
 * @param {File[]} files
 */
async function openFiles(place, files) {
  place.clear();
  for (const file of files) await place.add((run) => openFile(run, file));
}

/**
 * @param {Run} run
 * @param {File} file
 * @throws {PageError} it is neither a video nor a pose.
 */
async function openFile(run, file) {
  const isPose = POSE_NAMES.test(file.name);
  const name = file.name.replace(isPose ? POSE_NAMES : /\.[^.]+$/, "") || file.name;
  if (isPose) {
    const pose = await readPoseFile(run.context, file);
    const clip = run.context.session.add({ name, origin: "pose", pose, video: null, extractor: "file" });
    run.context.announce(run.context.t("estimation.done", { name, frames: clip.decoded.frames }));
  } else if (file.type.startsWith("video/") || file.type === "image/gif" || VIDEO_NAMES.test(file.name)) {
    await makeClipOfVideo(run, { name, origin: "video", video: file });
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
