// @ts-check
/** Finds on a line of time, a row for each label; below it the same as a list with buttons. */

import { element } from "../dom.js";
import { writeNumber } from "../numbers.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {{label: string, start_s: number, end_s: number, score: number}} Find */

/**
 * Create a timeline.
 *
 * @param {Context} context
 * @param {Find[]} found
 * @param {number} duration_s  of the recording
 * @param {(time_s: number) => void} seek  shows a moment of the recording
 */
export function createTimeline({ t }, found, duration_s, seek) {
  const labels = [...new Set(found.map(({ label }) => label))];
  // The list below says the same to those who do not see or point.
  const rows = labels.map((label) => {
    const own = found.filter((find) => find.label === label);
    const line = element("div", { class: "line" }, ...own.map((find) => createSegment(find, duration_s, seek)));
    return element("div", { class: "track" }, element("span", {}, label), line);
  });
  const write = (/** @type {number} */ value) => writeNumber(value, t.language);
  const list = found.map((find) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, find.label),
      element("td", {}, t("spot.span", { start: write(find.start_s), end: write(find.end_s) })),
      element("td", {}, write(find.score)),
      element("td", {}, element("button", { type: "button", class: "quiet", "aria-label": t("spot.look_at", { label: find.label, start: write(find.start_s) }), onclick: () => seek((find.start_s + find.end_s) / 2) }, t("spot.look"))),
    ),
  );
  const head = ["spot.label", "spot.time", "spot.score", "spot.look"].map((key) => element("th", { scope: "col" }, t(key)));
  return element(
    "div",
    { class: "stack" },
    element("div", { class: "timeline", "aria-hidden": "true" }, ...rows, createScale(writeNumber(duration_s, t.language, 1))),
    element("table", { class: "finds" }, element("caption", { class: "visually-hidden" }, t("spot.caption")), element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...list)),
  );
}

/**
 * @param {Find} find
 * @param {number} duration_s
 * @param {(time_s: number) => void} seek
 */
function createSegment({ start_s, end_s }, duration_s, seek) {
  const segment = element("span", { class: "segment", onclick: () => seek((start_s + end_s) / 2) });
  segment.style.left = `${(100 * start_s) / duration_s}%`;
  segment.style.width = `${(100 * (end_s - start_s)) / duration_s}%`;
  return segment;
}

/** @param {string} end */
function createScale(end) {
  return element("div", { class: "track scale" }, element("span"), element("div", { class: "line" }, element("span", {}, "0 s"), element("span", {}, `${end} s`)));
}
