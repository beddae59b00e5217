// @ts-check
/** Which parts of the body are seen when: a strip for each part, with a mark at the frame that is shown. */

import { element } from "../dom.js";
import { PART_NAMES } from "../pose/parts.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../pose/quality.js").Quality} Quality */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Create the strips of a clip.
 *
 * @param {Context} context
 * @param {Quality} quality
 * @param {(frame: number) => void} seek
 */
export function createPresence({ t }, quality, seek) {
  const marks = /** @type {SVGLineElement[]} */ ([]);
  const rows = PART_NAMES.map((part) => {
    const share = quality.shares[part];
    const text = share === null ? t("part.not_in_layout") : t("part.share", { percent: describeShare(share) });
    const strip = createStrip(quality.seen[part] ?? [], quality.frames, marks);
    strip.addEventListener("pointerdown", (event) => {
      const { left, width } = strip.getBoundingClientRect();
      seek(Math.floor(((event.clientX - left) / width) * quality.frames));
    });
    return element("tr", { class: share ? "" : "missing" }, element("th", { scope: "row" }, t(`part.${part}`)), element("td", { class: "strip" }, strip), element("td", {}, text));
  });
  const caption = element("caption", { class: "visually-hidden" }, t("part.caption"));
  return {
    element: element("table", { class: "presence" }, caption, element("tbody", {}, ...rows)),
    /** @param {number} frame */
    mark(frame) {
      for (const mark of marks) {
        mark.setAttribute("x1", String(frame + 0.5));
        mark.setAttribute("x2", String(frame + 0.5));
      }
    },
    /**
     * Say which parts are missing in a frame, of those that the layout has.
     *
     * @param {number} frame
     */
    listMissing(frame) {
      return PART_NAMES.filter((part) => quality.seen[part]?.[frame] === false).map((part) => t("part.missing", { part: t(`part.${part}`) }));
    },
  };
}

/**
 * @param {boolean[]} seen
 * @param {number} frames
 * @param {SVGLineElement[]} marks  the strip's mark is added to them
 */
function createStrip(seen, frames, marks) {
  const strip = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ viewBox: `0 0 ${frames} 10`, preserveAspectRatio: "none", "aria-hidden": "true" })) {
    strip.setAttribute(name, value);
  }
  for (const [start, end] of listRuns(seen)) {
    const run = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries({ x: start, y: 0, width: end - start, height: 10 })) run.setAttribute(name, String(value));
    strip.append(run);
  }
  const mark = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: 0.5, x2: 0.5, y1: 0, y2: 10 })) mark.setAttribute(name, String(value));
  strip.append(mark);
  marks.push(mark);
  return strip;
}

/**
 * List the runs of true values as [start, end).
 *
 * @param {boolean[]} values
 */
export function listRuns(values) {
  /** @type {[number, number][]} */
  const runs = [];
  for (let start = values.indexOf(true); start >= 0; ) {
    const end = values.indexOf(false, start);
    runs.push([start, end < 0 ? values.length : end]);
    start = end < 0 ? -1 : values.indexOf(true, end);
  }
  return runs;
}

/**
 * Write a share in percent; a rounded 0 % or 100 % would be wrong for the few frames that differ.
 *
 * @param {number} share
 */
function describeShare(share) {
  if (share > 0 && share < 0.01) return "< 1";
  return share > 0.99 && share < 1 ? "> 99" : String(Math.round(100 * share));
}
