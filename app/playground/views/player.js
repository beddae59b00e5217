// @ts-check
/** The current clip: its skeleton over the video, frame by frame or in motion, with what is missing in it. */

import { element } from "../dom.js";
import { writeNumber } from "../numbers.js";
import { describeQuality, measureQuality } from "../pose/quality.js";
import { drawFrame, findDrawing, fitBox, readColors } from "../pose/skeleton.js";
import { createPresence } from "./presence.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../session.js").Clip} Clip */
/** @typedef {import("../pose/skeleton.js").Drawing} Drawing */
/** @typedef {import("../pose/skeleton.js").Box} Box */

const SPEEDS = [0.25, 0.5, 1, 1.5, 2];
/** Of the canvas's longer side, twice what most screens show of it. */
const SIDE_PIXELS = 960;
/** For a clip whose rate is no rate. */
const USUAL_FPS = 25;

/**
 * Show whichever clip is the current one.
 *
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const { session, t, signal } = context;
  const place = element("div", { class: "stack" });
  const section = element("section", { class: "card stack player", "aria-labelledby": "player-title" }, element("h2", { id: "player-title" }, t("player.title")), place);
  /** @type {ClipPlayer | null} */
  let player = null;
  const show = () => {
    player?.close();
    section.hidden = session.current === null;
    player = session.current && new ClipPlayer(context, session.current);
    place.replaceChildren(...(player ? [player.element] : []));
  };
  session.addEventListener("change", (event) => /** @type {any} */ (event).what === "current" && show(), { signal });
  session.addEventListener("seek", (event) => player?.seek(/** @type {CustomEvent<number>} */ (event).detail), { signal });
  signal.addEventListener("abort", () => player?.close());
  show();
  return section;
}

/** Plays one clip. */
class ClipPlayer {
  /**
   * @param {Context} context
   * @param {Clip} clip
   */
  constructor(context, clip) {
    const { t } = context;
    this.context = context;
    this.clip = clip;
    this.pose = clip.decoded;
    this.fps = this.pose.fps > 0 && Number.isFinite(this.pose.fps) ? this.pose.fps : USUAL_FPS;
    this.drawing = findDrawing(this.pose);
    this.quality = measureQuality(this.pose);
    this.frame = 0;
    this.isPlaying = false;
    this.isMirrored = false;
    this.speed = 1;
    /** Between two frames of the screen, in seconds of the clip. */
    this.elapsed_s = 0;
    this.lastTick_ms = 0;
    this.animation = 0;
    this.video = this._createVideo();
    this.canvas = element("canvas", { role: "img", "aria-label": t("player.picture", { name: clip.name, frames: this.pose.frames }) });
    this.box = this._chooseBox();
    this.stage = element("div", { class: "stage" }, this.video, this.canvas);
    this.playButton = element("button", { type: "button", onclick: () => (this.isPlaying ? this.pause() : this.play()) }, t("player.play"));
    this.slider = element("input", { type: "range", min: 0, max: this.pose.frames - 1, step: 1, "aria-label": t("player.frame") });
    this.slider.addEventListener("input", () => {
      const frame = this.slider.valueAsNumber; // before the pause, which shows where the player stands
      this.pause();
      this.show(frame);
    });
    this.time = element("output", { class: "hint" });
    this.presence = createPresence(context, this.quality, (frame) => this.show(frame));
    this.element = element(
      "div",
      { class: "view", role: "group", "aria-label": clip.name },
      element("div", { class: "stack" }, this.stage, this._createControls()),
      element("div", { class: "stack" }, this._createReport(), this.presence.element),
    );
    this._size();
    // The colours come from the page's style, which the canvas has once it stands in the page.
    requestAnimationFrame(() => this.show(Math.floor(this.pose.frames / 2)));
  }

  /** Stop, and give back what the video holds. */
  close() {
    this.pause();
    if (this.video) URL.revokeObjectURL(this.video.src);
  }

  /**
   * Show a moment of the clip.
   *
   * @param {number} time_s
   */
  seek(time_s) {
    this.pause();
    this.show(Math.floor(time_s * this.fps));
    this.element.scrollIntoView({ block: "nearest" });
  }

  /**
   * Show a frame.
   *
   * @param {number} frame
   */
  show(frame) {
    this.frame = Math.max(0, Math.min(this.pose.frames - 1, frame));
    // The middle of a frame, so that rounding shows no neighbour.
    if (this.video && !this.isPlaying) this.video.currentTime = (this.frame + 0.5) / this.fps;
    this._draw();
    this._tell();
  }

  play() {
    if (this.isPlaying) return;
    if (this.frame >= this.pose.frames - 1) this.show(0);
    this.isPlaying = true;
    this.elapsed_s = this.frame / this.fps;
    this.lastTick_ms = performance.now();
    this.animation = requestAnimationFrame((now) => this._tick(now));
    if (this.video) {
      this.video.playbackRate = this.speed;
      this.video.play().catch(() => {}); // pausing at once ends the promise with an error
    }
    this._tell();
  }

  pause() {
    this.isPlaying = false;
    cancelAnimationFrame(this.animation);
    this.video?.pause();
    this._tell();
  }

  /** @param {number} now */
  _tick(now) {
    if (!this.isPlaying) return;
    this.elapsed_s += ((now - this.lastTick_ms) / 1000) * this.speed;
    this.lastTick_ms = now;
    // The picture leads, because the eye sees a skeleton that is late beside it.
    if (this.video && !this.video.paused && !this.video.ended) this.elapsed_s = this.video.currentTime;
    const frame = Math.floor(this.elapsed_s * this.fps);
    if (frame >= this.pose.frames) {
      this.pause();
      this.show(this.pose.frames - 1);
      return;
    }
    if (frame !== this.frame) this.show(frame);
    this.animation = requestAnimationFrame((next) => this._tick(next));
  }

  _createVideo() {
    if (!this.clip.video) return null;
    const video = element("video", { muted: true, playsinline: true, preload: "auto", "aria-hidden": "true", tabindex: "-1" });
    video.muted = true;
    video.src = URL.createObjectURL(this.clip.video);
    return video;
  }

  /** @returns {Box} the whole picture where there is one to lie over, else what the skeleton fills */
  _chooseBox() {
    const { width, height } = this.pose;
    const whole = { left: 0, top: 0, width: width || 1, height: height || 1 };
    return this.video ? whole : (fitBox(this.pose, this.drawing) ?? whole);
  }

  _size() {
    const { width, height } = this.box;
    const scale = SIDE_PIXELS / Math.max(width, height);
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    this.stage.style.aspectRatio = `${this.canvas.width} / ${this.canvas.height}`;
  }

  /** @returns {HTMLElement} */
  _createControls() {
    const { t } = this.context;
    const speeds = SPEEDS.map((speed) => element("option", { value: speed, selected: speed === 1 }, t("player.times", { speed })));
    const speed = element("select", {}, ...speeds);
    speed.addEventListener("change", () => {
      this.speed = Number(speed.value);
      if (this.video) this.video.playbackRate = this.speed;
    });
    const mirrored = createSwitch(t("player.mirrored"), false, (on) => {
      this.isMirrored = on;
      this.video?.classList.toggle("mirrored", on);
      this._draw();
    });
    const shown = this.video && createSwitch(t("player.video"), true, (on) => this.video?.classList.toggle("faded", !on));
    return element(
      "div",
      { class: "stack controls" },
      element("div", { class: "scrub" }, this.playButton, this.slider, this.time),
      element("div", { class: "row" }, element("label", { class: "row" }, t("player.speed"), speed), mirrored, shown),
    );
  }

  _createReport() {
    const { t } = this.context;
    const { summary, warnings } = describeQuality(this.quality, t);
    const list = warnings.map((warning) => element("li", {}, warning));
    return element(
      "div",
      { class: "report" },
      element("p", {}, summary),
      warnings.length ? element("ul", { class: "warnings" }, ...list) : element("p", { class: "good" }, t("quality.good")),
    );
  }

  _draw() {
    const canvas = this.canvas.getContext("2d");
    if (!canvas) return;
    canvas.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const { drawing, box, isMirrored: mirrored } = this;
    drawFrame(canvas, this.pose, this.frame, { drawing, box, mirrored, colors: readColors(this.canvas) });
  }

  /** Tell by the controls what is shown. */
  _tell() {
    const { t } = this.context;
    const values = { frame: this.frame + 1, frames: this.pose.frames, seconds: writeNumber(this.frame / this.fps, t.language) };
    const missing = this.presence.listMissing(this.frame);
    this.slider.value = String(this.frame);
    this.slider.setAttribute("aria-valuetext", [t("player.at", values), ...missing].join(", "));
    this.time.textContent = t("player.at", values);
    this.playButton.textContent = t(this.isPlaying ? "player.pause" : "player.play");
    this.presence.mark(this.frame);
  }
}

/**
 * @param {string} label
 * @param {boolean} isOn
 * @param {(isOn: boolean) => void} change
 */
function createSwitch(label, isOn, change) {
  const box = element("input", { type: "checkbox", checked: isOn });
  box.addEventListener("change", () => change(box.checked));
  return element("label", { class: "row switch" }, box, label);
}
