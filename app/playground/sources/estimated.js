// @ts-check
/** Makes clips of videos: in this browser where that is possible, else by the service, and then only if the person agrees. */

import { PageError } from "../context.js";
import { append, element } from "../dom.js";
import { estimate } from "../estimation/estimate.js";
import { readPose } from "../pose/reader.js";
import { writePose } from "../pose/writer.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../estimation/frames.js").Frames} Frames */
/** @typedef {import("../estimation/estimate.js").Progress} Progress */
/** @typedef {import("./runs.js").Run} Run */
/**
 * @typedef {object} Source
 * @property {string} name
 * @property {"webcam" | "video" | "sample"} origin
 * @property {Blob} video what the player shows, and what the service would get
 * @property {Frames} [frames] the pictures themselves, where the page has them already
 */

/** As many frames must show a person as the service asks for (min_seen). */
const LEAST_SEEN = 0.5;

/**
 * Estimate the pose in a video and add it to the session. Does nothing when the person cancels.
 *
 * @param {Run} run
 * @param {Source} source
 * @throws {PageError} the video cannot be read, or nobody is seen in it.
 */
export async function makeClipOfVideo(run, source) {
  let reason = run.context.features.estimator ? "" : run.context.t("estimation.askMissing");
  if (!reason) {
    try {
      await estimateHere(run, source);
      return;
    } catch (error) {
      if (!(error instanceof PageError) || !["estimator_failed", "video_unreadable"].includes(error.code)) throw error;
      reason = run.context.t("estimation.askUnable", { reason: run.context.t(`error.${error.code}`, error.values) });
    }
  }
  if (await askToSend(run.context, source, reason)) await estimateThere(run, source);
}

/**
 * @param {Run} run
 * @param {Source} source
 */
async function estimateHere(run, source) {
  await cancelably(run, async (signal, update) => {
    const result = await estimate(source.frames ?? source.video, {
      name: source.name,
      signal,
      onProgress: (progress) => update((context) => describeProgress(context, progress), progress.done, progress.total),
    });
    addClip(run.context, source, await writePose(result), "browser");
  });
}

/**
 * @param {Run} run
 * @param {Source} source
 */
async function estimateThere(run, source) {
  await cancelably(run, async (signal, update) => {
    update(({ t }) => t("estimation.server"), 0, 0);
    const form = new FormData();
    form.append("video", source.video, source.name);
    const headers = { Accept: "application/octet-stream" };
    const answer = await run.context.api.fetch("/api/pose", { form, headers, signal });
    addClip(run.context, source, new Uint8Array(await answer.arrayBuffer()), "server");
  });
}

/**
 * @param {Context} context
 * @param {Source} source
 * @param {Uint8Array} pose
 * @param {"browser" | "server"} extractor
 */
function addClip(context, source, pose, extractor) {
  const { name, origin, video } = source;
  if (measureSeen(readPose(pose)) < LEAST_SEEN) throw new PageError("nobody_seen", { name });
  const clip = context.session.add({ name, origin, pose, video, extractor });
  context.announce(context.t("estimation.done", { name, frames: clip.decoded.frames }));
}

/**
 * Measure in which share of the frames a body is seen.
 *
 * @param {import("../pose/reader.js").Pose} pose
 */
function measureSeen(pose) {
  const points = pose.confidence.length / pose.frames;
  let seen = 0;
  for (let frame = 0; frame < pose.frames; frame++) {
    if (pose.confidence.subarray(frame * points, (frame + 1) * points).some((value) => value > 0)) seen++;
  }
  return seen / pose.frames;
}

/**
 * @param {Context} context
 * @param {Progress} progress
 */
function describeProgress({ t }, { step, done, total, framesPerSecond }) {
  if (step === "loading") return t("estimation.preparing");
  if (step === "reading") return t("estimation.reading");
  const left = framesPerSecond > 0 ? Math.ceil((total - done) / framesPerSecond) : "…";
  return t("estimation.progress", { done, total, rate: framesPerSecond ? round(framesPerSecond) : "…", left });
}

/**
 * Round to one digit after the point.
 *
 * @param {number} value
 */
function round(value) {
  return Math.round(10 * value) / 10;
}

/**
 * Do something with a bar that shows how far it is, and a button that cancels it.
 *
 * @param {Run} run
 * @param {(signal: AbortSignal, update: (write: (context: Context) => string, done: number, total: number) => void) => Promise<void>} work
 *   update shows a sentence; total is 0 where it is not known
 */
async function cancelably(run, work) {
  const stop = new AbortController();
  let shown = { write: (/** @type {Context} */ { t }) => t("estimation.preparing"), done: 0, total: 0 };
  let fill = () => {};
  run.show((context) => {
    const text = element("p", { class: "hint" });
    const bar = element("progress", { max: 1 });
    const cancel = element("button", { type: "button", class: "quiet", onclick: () => stop.abort() }, context.t("estimation.cancel"));
    fill = () => {
      text.textContent = shown.write(context);
      bar.setAttribute("aria-label", text.textContent);
      if (shown.total > 0) bar.value = shown.done / shown.total;
      else bar.removeAttribute("value");
    };
    fill();
    return [element("div", { class: "stack estimation" }, text, bar, element("div", { class: "row" }, cancel))];
  });
  try {
    await work(stop.signal, (write, done, total) => {
      shown = { write, done, total };
      fill();
    });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    run.context.announce(run.context.t("estimation.cancelled"));
  } finally {
    run.show(() => []);
  }
}

/**
 * Ask whether the service may have the video.
 *
 * @param {Context} context
 * @param {Source} source
 * @param {string} reason why the page does not do it itself.
 * @returns {Promise<boolean>}
 */
function askToSend({ t, api }, source, reason) {
  return new Promise((resolve) => {
    const size = Math.max(0.1, round(source.video.size / 1e6));
    const dialog = element("dialog", { class: "ask", "aria-labelledby": "ask-title" });
    /** @param {string} value */
    const close = (value) => () => dialog.close(value);
    append(dialog, element("div", { class: "stack" },
      element("h2", { id: "ask-title" }, t("estimation.askTitle")),
      element("p", {}, reason),
      element("p", {}, t("estimation.askWhat", { host: new URL(api.url("/")).host, size })),
      element("div", { class: "row" },
        element("button", { type: "button", onclick: close("send") }, t("estimation.askSend")),
        element("button", { type: "button", class: "quiet", autofocus: true, onclick: close("keep") }, t("estimation.askKeep")),
      ),
    ));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "send");
    }, { once: true });
    document.body.append(dialog);
    dialog.showModal();
  });
}
