// @ts-check
/** Records signs with the camera: counted down, 1 to 10 seconds, shown as in a mirror and kept as it is. */

import { PageError } from "../context.js";
import { append, element } from "../dom.js";
import { makeClipOfVideo } from "./estimated.js";
import { record } from "./recording.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("./runs.js").Run} Run */

const COUNTDOWN_S = 3;
const SHORTEST_S = 1;
const LONGEST_S = 10;
const USUAL_S = 3;
/** Errors of getUserMedia by name (W3C Media Capture and Streams, section 10.2). @type {Record<string, string>} */
const CAMERA_ERRORS = {
  NotAllowedError: "camera_denied",
  SecurityError: "camera_denied",
  NotFoundError: "camera_missing",
  OverconstrainedError: "camera_missing",
};

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  return new Webcam(context).root;
}

class Webcam {
  /** @param {Context} context */
  constructor(context) {
    const { t } = context;
    this._context = context;
    /** @type {MediaStream | null} */
    this._stream = null;
    /** @type {AbortController | null} finishes the recording that runs. */
    this._finish = null;
    this._isOpening = false;
    this._video = element("video", { muted: true, playsinline: true, "aria-label": t("webcam.preview") });
    this._video.muted = true;
    this._count = element("output", { "aria-hidden": "true" });
    this._camera = element("div", { class: "camera", hidden: true }, this._video, this._count);
    this._toggle = element("button", { type: "button", class: "quiet", onclick: () => this._switch() }, t("webcam.start"));
    this._record = element("button", { type: "button", hidden: true, onclick: () => this._press() }, t("webcam.record"));
    this._seconds = element("input", { type: "range", min: SHORTEST_S, max: LONGEST_S, step: 1, value: USUAL_S, id: "seconds" });
    const shown = element("output", { for: "seconds" }, t("webcam.secondsValue", { seconds: USUAL_S }));
    this._seconds.addEventListener("input", () => {
      shown.textContent = t("webcam.secondsValue", { seconds: this._seconds.value });
    });
    this._length = element("div", { class: "length", hidden: true }, element("label", { for: "seconds" }, t("webcam.seconds")), this._seconds, shown);
    this._hint = element("p", { class: "hint", hidden: true }, t("webcam.hint"));
    this._place = context.runs.takePlace("webcam", context);
    this.root = element("section", { class: "source", id: "webcam" }, element("h3", {}, t("source.webcam")));
    append(this.root, this._camera, this._length, element("div", { class: "row" }, this._record, this._toggle), this._hint, this._place.root);
    context.signal.addEventListener("abort", () => this._stop());
  }

  async _switch() {
    if (this._stream) {
      this._place.clear();
      this._stop();
      return;
    }
    // Pressed again while the browser asks the person, it would open a second stream, which nothing stops.
    if (this._isOpening) return;
    this._isOpening = true;
    await this._place.run(async () => this._start(await openCamera()));
    this._isOpening = false;
  }

  /** @param {MediaStream} stream */
  async _start(stream) {
    this._stream = stream;
    // The page was built anew while the browser asked: nothing shows this camera any more.
    if (this._context.signal.aborted) {
      this._stop();
      return;
    }
    this._video.srcObject = stream;
    await this._video.play();
    this._show(true);
    this._record.focus();
  }

  _stop() {
    this._finish?.abort();
    for (const track of this._stream?.getTracks() ?? []) track.stop();
    this._stream = null;
    this._video.srcObject = null;
    this._show(false);
  }

  /** @param {boolean} runs */
  _show(runs) {
    for (const part of [this._camera, this._record, this._length, this._hint]) part.hidden = !runs;
    this._toggle.textContent = this._context.t(runs ? "webcam.stop" : "webcam.start");
  }

  async _press() {
    if (this._finish) {
      this._finish.abort();
      return;
    }
    const { signal } = (this._finish = new AbortController());
    this._record.classList.add("recording");
    this._record.textContent = this._context.t("webcam.finish");
    await this._place.run((run) => this._take(run, signal));
    this._finish = null;
    this._rest();
  }

  /**
   * @param {Run} run
   * @param {AbortSignal} finish
   */
  async _take(run, finish) {
    const { t, announce, session, signal } = this._context;
    for (let left = COUNTDOWN_S; left > 0 && !finish.aborted; left--) {
      this._count.textContent = String(left);
      announce(t("webcam.countdown", { seconds: left }));
      await pause(1000, finish);
    }
    this._count.textContent = "";
    if (finish.aborted || !this._stream) return;
    this._camera.classList.add("recording");
    const seconds = Number(this._seconds.value);
    announce(t("webcam.recording", { seconds }));
    const taken = await record(this._video, this._stream, {
      seconds,
      signal: finish,
      onSecond: (left) => (this._record.textContent = `${t("webcam.finish")} · ${t("webcam.secondsValue", { seconds: left })}`),
    });
    this._rest();
    // Who stops the camera does not want what it took; who changes the language does.
    if ((!this._stream && !signal.aborted) || taken.frames.total === 0) return;
    this._record.disabled = true;
    try {
      await makeClipOfVideo(run, { name: nameRecording(session, run.context.t), origin: "webcam", ...taken });
    } finally {
      this._record.disabled = false;
    }
  }

  _rest() {
    this._count.textContent = "";
    this._camera.classList.remove("recording");
    this._record.classList.remove("recording");
    this._record.textContent = this._context.t("webcam.record");
  }
}

/**
 * Name a recording by the first number that none has yet.
 *
 * @param {Context["session"]} session
 * @param {Context["t"]} t
 */
function nameRecording({ clips }, t) {
  for (let number = 1; ; number++) {
    const name = t("webcam.name", { number });
    if (!clips.some((clip) => clip.name === name)) return name;
  }
}

/**
 * @returns {Promise<MediaStream>}
 * @throws {PageError} the browser gives no camera.
 */
async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new PageError("camera_insecure");
  try {
    const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25 }, facingMode: "user" };
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    throw new PageError(CAMERA_ERRORS[name] ?? "camera_busy");
  }
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal ends the pause early.
 * @returns {Promise<void>}
 */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
