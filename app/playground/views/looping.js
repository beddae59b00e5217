// @ts-check
/** Small pictures of clips that move, side by side. They stand still where a person asks the system for less motion. */

import { element } from "../dom.js";
import { drawFrame, findDrawing, fitBox, readColors } from "../pose/skeleton.js";

/** @typedef {import("../pose/reader.js").Pose} Pose */

const SIDE_PIXELS = 320;
const USUAL_FPS = 25;

/**
 * Create a picture of a pose.
 *
 * @param {Pose} pose
 * @param {string} label  what it shows, for those who do not see it
 * @returns {HTMLCanvasElement}
 */
export function createLoop(pose, label) {
  const canvas = element("canvas", { class: "loop", role: "img", "aria-label": label, width: SIDE_PIXELS, height: SIDE_PIXELS });
  const drawing = findDrawing(pose);
  const box = fitBox(pose, drawing);
  const fps = pose.fps > 0 && Number.isFinite(pose.fps) ? pose.fps : USUAL_FPS;
  if (!box) return canvas;
  const draw = (/** @type {number} */ frame) => {
    const picture = canvas.getContext("2d");
    picture?.clearRect(0, 0, canvas.width, canvas.height);
    if (picture) drawFrame(picture, pose, frame, { drawing, box, colors: readColors(canvas) });
  };
  let shown = -1;
  let wasShown = false;
  const tick = (/** @type {number} */ now) => {
    // A picture that was taken out of the page ends its own motion.
    if (wasShown && !canvas.isConnected) return;
    wasShown = canvas.isConnected;
    const frame = Math.floor((now / 1000) * fps) % pose.frames;
    if (wasShown && frame !== shown && canvas.offsetParent) draw((shown = frame));
    requestAnimationFrame(tick);
  };
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) requestAnimationFrame(() => draw(Math.floor(pose.frames / 2)));
  else requestAnimationFrame(tick);
  return canvas;
}
