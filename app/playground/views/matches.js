// @ts-check
/** The answer of a similarity: the best text as a headline, all texts as bars, and what they were compared as. */

import { ROOT } from "../api.js";
import { element } from "../dom.js";
import { writeNumber, writePercent } from "../numbers.js";
import { createSnippets } from "../snippets.js";
import { createBars } from "./bars.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../requests.js").ServiceRequest} ServiceRequest */
/** @typedef {import("./bars.js").Row} Row */

/**
 * @typedef {object} Match
 * @property {string} text
 * @property {number} share  0 to 1
 * @property {number | null} cosine  null for "none of these"
 */

/**
 * Rank the texts of an answer with one clip, the best first. Where the service says how probable none of them is, the
 * texts share what is left.
 *
 * @param {{probabilities: number[][], cosine: number[][], none_of_these?: (number | null)[]}} answer
 * @param {string[]} texts
 * @param {string} none  what stands for none of the texts
 * @returns {Match[]}
 */
export function rankMatches(answer, texts, none) {
  const noneShare = answer.none_of_these?.[0] ?? null;
  const left = 1 - (noneShare ?? 0);
  /** @type {Match[]} */
  const matches = texts.map((text, column) => ({ text, share: answer.probabilities[0][column] * left, cosine: answer.cosine[0][column] }));
  if (noneShare !== null) matches.push({ text: none, share: noneShare, cosine: null });
  return matches.sort((one, other) => other.share - one.share);
}

/**
 * Show an answer.
 *
 * @param {Context} context
 * @param {{request: ServiceRequest, texts: string[], answer: any}} found
 * @param {number} [firstRows]  rows that are not folded; all if unset
 * @returns {Node[]}
 */
export function createMatches(context, { request, texts, answer }, firstRows = Infinity) {
  const { t, announce } = context;
  const matches = rankMatches(answer, texts, t("similarity.none"));
  const [best, second] = matches;
  const headline = t("similarity.headline", { text: best.text, percent: writePercent(best.share, t.language) });
  announce(headline);
  const rows = matches.map((match) => writeRow(match, t));
  const others = rows.slice(firstRows);
  return [
    element("p", { class: best.cosine === null ? "headline none" : "headline" }, headline),
    second && best.share < 2 * second.share && element("p", { class: "hint" }, t("similarity.close", { text: second.text })),
    createBars(t("similarity.caption"), rows.slice(0, firstRows)),
    others.length ? element("details", {}, element("summary", {}, t("similarity.others", { count: others.length })), createBars(t("similarity.caption"), others)) : null,
    ...createRemarks(context, answer, request.clip?.decoded.frames),
    createSnippets(context, [request], ROOT.href),
  ].filter((node) => node instanceof Node);
}

/**
 * Show what an answer remarks: the prompts, what was trimmed, and warnings.
 *
 * @param {Context} context
 * @param {any} answer
 * @param {number} [frames]  of the clip
 * @returns {Node[]}
 */
export function createRemarks({ t }, answer, frames = 0) {
  const remarks = [];
  const prompts = /** @type {string[]} */ (answer.prompts ?? []);
  if (prompts.length) {
    const shown = prompts.length > 3 ? [...prompts.slice(0, 2), "…", prompts[prompts.length - 1]] : prompts;
    remarks.push(element("p", { class: "hint" }, t("similarity.prompts"), " ", element("code", {}, shown.join("  "))));
  }
  const [trimmed] = answer.trimmed ?? [];
  if (trimmed && trimmed[1] - trimmed[0] < frames) remarks.push(element("p", { class: "hint" }, t("similarity.trimmed", { first: trimmed[0] + 1, last: trimmed[1] })));
  const warnings = /** @type {string[]} */ (answer.warnings ?? []);
  if (warnings.length) remarks.push(element("ul", { class: "warnings", "aria-label": t("similarity.warnings") }, ...warnings.map((warning) => element("li", { lang: "en" }, warning))));
  return remarks;
}

/** @param {Match} match @param {Context["t"]} t @returns {Row} */
function writeRow({ text, share, cosine }, t) {
  const detail = cosine === null ? "" : t("similarity.cosine", { cosine: writeNumber(cosine, t.language) });
  return { label: text, share, text: writePercent(share, t.language), detail, isNone: cosine === null };
}
