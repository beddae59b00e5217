// @ts-check
/** The current clip beside every letter in every sign language that the model knows: a heat map, which is a table. */

import { ROOT } from "../api.js";
import { element } from "../dom.js";
import { writeNumber } from "../numbers.js";
import { createSnippets } from "../snippets.js";
import { computeCosine } from "./bank.js";
import { follow } from "./live.js";
import { createRemarks } from "./matches.js";
import { listLanguages } from "./pickers.js";
import { LETTERS } from "./texts.js";
import { buildClipRequest, buildTextRequest, embedClip, embedTexts } from "./vectors.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {{tag: string, name: string}} Language */
/** @typedef {{language: Language, cosines: number[]}} HeatRow */

/** More rows than this are no picture. The languages of the model's most clips come first. */
const MOST_LANGUAGES = 30;
/** The share of heat from which the text of a cell is light. */
const HOT = 0.7;
/** Requests at a time, so that the page leaves room for others. */
const AT_ONCE = 4;

/**
 * Vectors of all letters by language, asked for once of each model.
 *
 * @type {WeakMap<Context["features"], Map<string, Promise<{vectors: number[][], space: string}>>>}
 */
const kept = new WeakMap();

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const { session, t } = context;
  const place = element("div", { class: "stack result" });
  const section = element(
    "section",
    { class: "card stack", "aria-labelledby": "heat-title" },
    element("h2", { id: "heat-title" }, t("heat.title")),
    element("p", { class: "hint" }, t("heat.about")),
    place,
  );
  const languages = listLanguages(context).sign.slice(0, MOST_LANGUAGES);
  follow(context, {
    section,
    place,
    changes: ["current"],
    async compute() {
      const clip = session.current;
      if (clip === null || !languages.length) return null;
      const [embedded, rows] = await Promise.all([embedClip(context, clip), embedAlphabets(context, languages)]);
      return { clip, embedded, rows: rows.map(({ language, vectors }) => ({ language, cosines: vectors.map((vector) => computeCosine(vector, embedded.vector)) })) };
    },
    show(found) {
      if (found === null) return [element("p", { class: "hint" }, t("similarity.empty"))];
      const best = findBest(found.rows);
      const requests = [buildClipRequest(found.clip), buildTextRequest(LETTERS, writeTags(best.language))];
      return [...createHeat(context, found.rows, best), ...createRemarks(context, found.embedded.remarks, found.clip.decoded.frames), createSnippets(context, requests, ROOT.href)];
    },
  });
  return section;
}

/** @param {Language} language */
function writeTags({ tag }) {
  return { sign_language: tag, spoken_language: "en" };
}

/**
 * Embed the letters of all languages, some at a time.
 *
 * @param {Context} context
 * @param {Language[]} languages
 */
async function embedAlphabets({ api, features }, languages) {
  const alphabets = kept.get(features) ?? new Map();
  kept.set(features, alphabets);
  /** @type {{language: Language, vectors: number[][]}[]} */
  const rows = [];
  for (let start = 0; start < languages.length; start += AT_ONCE) {
    const some = languages.slice(start, start + AT_ONCE);
    const embedded = await Promise.all(
      some.map((language) => {
        const { tag } = language;
        const found = alphabets.get(tag) ?? embedTexts(api, LETTERS, writeTags(language));
        alphabets.set(tag, found);
        found.catch(() => alphabets.delete(tag)); // the next time may go better
        return found;
      }),
    );
    rows.push(...some.map((language, place) => ({ language, vectors: embedded[place].vectors })));
  }
  return rows;
}

/**
 * Turn a share, 0 to 1, into percents of the accent. In the middle neither light nor dark text could be read, so no share
 * falls there.
 *
 * @param {number} share
 */
function mixHeat(share) {
  return Math.round(share > HOT ? 80 + (20 * (share - HOT)) / (1 - HOT) : (52 * share) / HOT);
}

/** @param {HeatRow[]} rows */
function findBest(rows) {
  let best = { language: rows[0].language, letter: 0, cosine: -Infinity };
  for (const { language, cosines } of rows) {
    cosines.forEach((cosine, letter) => {
      if (cosine > best.cosine) best = { language, letter, cosine };
    });
  }
  return best;
}

/**
 * @param {Context} context
 * @param {HeatRow[]} rows
 * @param {{language: Language, letter: number, cosine: number}} best
 * @returns {Node[]}
 */
function createHeat({ t, announce }, rows, best) {
  const all = rows.flatMap(({ cosines }) => cosines);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const headline = t("heat.headline", { letter: LETTERS[best.letter], language: best.language.name, cosine: writeNumber(best.cosine, t.language) });
  announce(headline);
  const head = element("tr", {}, element("td"), ...LETTERS.map((letter) => element("th", { scope: "col" }, letter)));
  const body = rows.map(({ language, cosines }) => {
    const top = Math.max(...cosines);
    const cells = cosines.map((cosine, letter) => {
      const share = high > low ? (cosine - low) / (high - low) : 0;
      const cell = element("td", { class: cosine === top ? "best" : null, title: `${LETTERS[letter]}, ${language.name}: ${writeNumber(cosine, t.language)}` }, String(Math.round(100 * cosine)));
      cell.style.setProperty("--heat", `${mixHeat(share)}%`);
      cell.classList.toggle("hot", share > HOT);
      return cell;
    });
    return element("tr", {}, element("th", { scope: "row", title: language.name }, element("span", { class: "tag" }, language.tag), element("span", { class: "name" }, language.name)), ...cells);
  });
  return [
    element("p", { class: "headline long" }, headline),
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": t("heat.caption") },
      element("table", { class: "heat" }, element("caption", { class: "visually-hidden" }, t("heat.caption")), element("thead", {}, head), element("tbody", {}, ...body)),
    ),
    element("p", { class: "hint" }, t("heat.legend")),
  ];
}
