// @ts-check
/** Shares as bars: a table, so that screen readers read names and numbers row by row. */

import { element } from "../dom.js";

/**
 * @typedef {object} Row
 * @property {string} label
 * @property {number} share  0 to 1, the bar's length
 * @property {string} text  the share as it is read
 * @property {string} [detail]  more about it, in small
 * @property {boolean} [isNone]  whether it stands for what fits nothing
 */

/**
 * Show rows as bars.
 *
 * @param {string} caption  for screen readers
 * @param {Row[]} rows
 * @returns {HTMLTableElement}
 */
export function createBars(caption, rows) {
  return element(
    "table",
    { class: "bars" },
    element("caption", { class: "visually-hidden" }, caption),
    element("tbody", {}, ...rows.map(createRow)),
  );
}

/** @param {Row} row */
function createRow({ label, share, text, detail, isNone }) {
  const bar = element("span");
  bar.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  return element(
    "tr",
    { class: isNone ? "none" : null },
    element("th", { scope: "row" }, label),
    element("td", { class: "length", "aria-hidden": "true" }, element("div", { class: "bar" }, bar)),
    element("td", { class: "figure" }, text, detail ? element("span", { class: "hint" }, ` ${detail}`) : null),
  );
}
