// @ts-check
/** Draws one frame of a pose on a canvas: the body above the hips, both hands, and the face as contours. */

import { findHand, isFace, isWorld } from "./parts.js";

/** @typedef {import("./reader.js").Pose} Pose */
/** @typedef {import("./reader.js").Component} Component */
/** @typedef {"body" | "left" | "right" | "face"} Part */
/** @typedef {{left: number, top: number, width: number, height: number}} Box */
/** @typedef {Record<Part, string>} Colors */

/**
 * What is drawn of a layout.
 *
 * @typedef {object} Drawing
 * @property {[number, number, Part][]} lines  two points, counted among all points, and the part that they belong to
 * @property {[number, Part][]} joints  points that get a dot, and the part that they belong to
 */

/**
 * The face as lines from point to point.
 * Source: mediapipe 0.10.21, python/solutions/face_mesh_connections.py, FACEMESH_CONTOURS.
 */
const FACE_CONTOURS = [
  [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 61],
  [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78],
  [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 263],
  [276, 283, 282, 295, 285],
  [300, 293, 334, 296, 336],
  [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 33],
  [46, 53, 52, 65, 55],
  [70, 63, 105, 66, 107],
  [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136,
    172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10,
  ],
];
/** The names of the face's points that stand in the contours, which are those that models read. */
export const FACE_POINTS = new Set(FACE_CONTOURS.flat().map(String));
/** Points of the body that the contours or the hands show better, or where nobody signs. */
const LEFT_OUT = ["eye", "ear", "mouth", "pinky", "index", "thumb", "knee", "ankle", "heel", "foot", "toe"];
/** Of a picture's side, around a skeleton that fills it. */
const MARGIN = 0.06;
/** Blue and orange are told apart by all kinds of colour vision (Okabe and Ito, 2008). */
const FALLBACK = { body: "#8a8a8a", face: "#8a8a8a", left: "#0072b2", right: "#d55e00" };

/**
 * Find out what of a layout is drawn. One answer does for all frames.
 *
 * @param {Pose} pose
 * @returns {Drawing}
 */
export function findDrawing(pose) {
  /** @type {[number, number, Part][]} */
  const lines = [];
  for (const component of pose.components) {
    if (isWorld(component.name)) continue;
    if (isFace(component.name)) lines.push(...listContours(component));
    else lines.push(...listLimbs(component));
  }
  /** @type {Map<number, Part>} */
  const joints = new Map();
  for (const [from, to, part] of lines) {
    if (part !== "face") joints.set(from, part).set(to, part);
  }
  return { lines, joints: [...joints] };
}

/**
 * Find the smallest box that holds what is drawn of all frames, with a margin; null where nothing is seen.
 *
 * @param {Pose} pose
 * @param {Drawing} drawing
 * @returns {Box | null}
 */
export function fitBox(pose, drawing) {
  const points = new Set(drawing.lines.flatMap(([from, to]) => [from, to]));
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let frame = 0; frame < pose.frames; frame++) {
    for (const point of points) {
      const place = locate(pose, frame, point);
      if (!place) continue;
      left = Math.min(left, place[0]);
      right = Math.max(right, place[0]);
      top = Math.min(top, place[1]);
      bottom = Math.max(bottom, place[1]);
    }
  }
  if (left === Infinity) return null;
  const margin = MARGIN * Math.max(right - left, bottom - top, Number.EPSILON);
  return { left: left - margin, top: top - margin, width: right - left + 2 * margin, height: bottom - top + 2 * margin };
}

/**
 * Draw a frame over what the canvas shows.
 *
 * @param {CanvasRenderingContext2D} canvas
 * @param {Pose} pose
 * @param {number} frame
 * @param {object} options
 * @param {Drawing} options.drawing
 * @param {Box} options.box  the part of the pose's picture that fills the canvas, at its proportions
 * @param {boolean} [options.mirrored]
 * @param {Colors} [options.colors]
 */
export function drawFrame(canvas, pose, frame, { drawing, box, mirrored = false, colors = FALLBACK }) {
  const { width, height } = canvas.canvas;
  const scale = Math.min(width / box.width, height / box.height);
  const shiftX = (width - box.width * scale) / 2;
  const shiftY = (height - box.height * scale) / 2;
  const place = (/** @type {number} */ point) => {
    const found = locate(pose, frame, point);
    return found && [(found[0] - box.left) * scale + shiftX, (found[1] - box.top) * scale + shiftY];
  };
  const thickness = Math.max(1.5, Math.min(width, height) / 120);
  canvas.save();
  if (mirrored) canvas.transform(-1, 0, 0, 1, width, 0);
  canvas.lineCap = "round";
  for (const [from, to, part] of drawing.lines) {
    const [start, end] = [place(from), place(to)];
    if (!start || !end) continue;
    canvas.strokeStyle = colors[part];
    canvas.lineWidth = part === "face" ? thickness / 2 : thickness;
    canvas.beginPath();
    canvas.moveTo(start[0], start[1]);
    canvas.lineTo(end[0], end[1]);
    canvas.stroke();
  }
  for (const [joint, part] of drawing.joints) {
    const found = place(joint);
    if (!found) continue;
    canvas.fillStyle = colors[part];
    canvas.beginPath();
    canvas.arc(found[0], found[1], thickness * 0.8, 0, 2 * Math.PI);
    canvas.fill();
  }
  canvas.restore();
}

/**
 * Read the colours of the parts from the style of an element, so that they follow the page's light and dark.
 *
 * @param {Element} element
 * @returns {Colors}
 */
export function readColors(element) {
  const style = getComputedStyle(element);
  const read = (/** @type {string} */ name, /** @type {Part} */ part) => style.getPropertyValue(name).trim() || FALLBACK[part];
  return { body: read("--body", "body"), face: read("--body", "face"), left: read("--left", "left"), right: read("--right", "right") };
}

/**
 * Locate a point; null where it is not seen.
 *
 * @param {Pose} pose
 * @param {number} frame
 * @param {number} point
 * @returns {[number, number] | null}
 */
function locate(pose, frame, point) {
  const place = frame * pose.points + point;
  if (pose.confidence[place] <= 0 || pose.dims < 2) return null;
  return [pose.data[place * pose.dims], pose.data[place * pose.dims + 1]];
}

/**
 * @param {Component} component
 * @returns {[number, number, Part][]}
 */
function listContours(component) {
  const places = new Map(component.points.map((name, index) => [name, component.start + index]));
  /** @type {[number, number, Part][]} */
  const lines = [];
  for (const contour of FACE_CONTOURS) {
    for (let index = 1; index < contour.length; index++) {
      const [from, to] = [places.get(String(contour[index - 1])), places.get(String(contour[index]))];
      if (from !== undefined && to !== undefined) lines.push([from, to, "face"]);
    }
  }
  return lines;
}

/**
 * @param {Component} component
 * @returns {[number, number, Part][]}
 */
function listLimbs(component) {
  const hand = findHand(component.name);
  const part = hand === null ? "body" : hand === "left_hand" ? "left" : "right";
  const isKept = (/** @type {number} */ point) =>
    part !== "body" || !LEFT_OUT.some((name) => component.points[point].toLowerCase().includes(name));
  return component.limbs
    .filter(([from, to]) => isKept(from) && isKept(to))
    .map(([from, to]) => [component.start + from, component.start + to, /** @type {Part} */ (part)]);
}
