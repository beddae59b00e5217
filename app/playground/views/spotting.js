// @ts-check
/** Where signs are in the current clip: a timeline, and a list from which each place can be looked at. */

import { ApiError, ROOT } from "../api.js";
import { element } from "../dom.js";
import { writeNumber } from "../numbers.js";
import { rawRequest, send } from "../requests.js";
import { createSnippets } from "../snippets.js";
import { createCollectionChoice } from "./collections.js";
import { createJoiner } from "./joiner.js";
import { follow } from "./live.js";
import { createRemarks } from "./matches.js";
import { createPickers, readLanguages } from "./pickers.js";
import { createTexts } from "./texts.js";
import { createTimeline } from "./timeline.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../requests.js").ServiceRequest} ServiceRequest */
/** @typedef {{by: "texts" | "collection", collection: string, threshold: number | null}} Question */

/** The cosine from which a window counts as found where the model has no background to choose by. */
const FIRST_THRESHOLD = 0.5;
/** Codes of a service that can choose no threshold by itself. */
const NO_THRESHOLD = ["calibration_too_small", "background_invalid"];
const MOST_Z = 10;

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const { session, t } = context;
  /** @type {Question} */
  const question = { by: "texts", collection: "", threshold: chooseThreshold(context.features, "texts") };
  const place = element("div", { class: "stack result" });
  const threshold = createThreshold(context, question, () => refresh());
  const section = element(
    "section",
    { class: "card stack", "aria-labelledby": "spot-title" },
    element("h2", { id: "spot-title" }, t("spot.title")),
    element("p", { class: "hint" }, t("spot.about")),
    createJoiner(context),
    createQuestion(context, question, () => refresh()),
    threshold.element,
    place,
  );
  const refresh = follow(context, {
    section,
    place,
    changes: ["current", "texts", "languages"],
    compute: (signal) => spot(context, question, signal),
    show(found) {
      if (found === null) return [element("p", { class: "hint" }, t("spot.empty"))];
      threshold.show(found.answer);
      return createFinds(context, found.request, found.answer);
    },
  });
  return section;
}

/**
 * Choose the least score to begin with; null lets the service choose it, by the model's background or by a collection.
 *
 * @param {Context["features"]} features
 * @param {Question["by"]} by
 */
function chooseThreshold({ models, defaultModel }, by) {
  const model = models.find(({ name }) => name === defaultModel);
  return by === "texts" && !model?.background ? FIRST_THRESHOLD : null;
}

/**
 * Ask the service; where it can choose no threshold, ask again with a usual one.
 *
 * @param {Context} context
 * @param {Question} question  gets the threshold
 * @param {AbortSignal} signal
 */
async function spot(context, question, signal) {
  let request = buildRequest(context.session, question);
  if (request === null) return null;
  try {
    return { request, answer: await send(context.api, request, signal) };
  } catch (error) {
    if (!(error instanceof ApiError) || !NO_THRESHOLD.includes(error.code) || question.threshold !== null) throw error;
    question.threshold = FIRST_THRESHOLD;
    request = /** @type {ServiceRequest} */ (buildRequest(context.session, question));
    return { request, answer: await send(context.api, request, signal) };
  }
}

/**
 * @param {Context["session"]} session
 * @param {Question} question
 * @returns {ServiceRequest | null} null while something of it is missing
 */
function buildRequest(session, { by, collection, threshold }) {
  const { current, texts } = session;
  if (current === null || (by === "texts" ? !texts.length : !collection)) return null;
  const sought = by === "texts" ? { query: JSON.stringify(texts), ...readLanguages(session) } : { collection };
  return rawRequest("/api/spot", current, { ...sought, threshold });
}

/**
 * Create what is looked for: texts, or the signs of a collection.
 *
 * @param {Context} context
 * @param {Question} question  is changed
 * @param {() => void} change
 */
function createQuestion(context, question, change) {
  const { features, t, showError } = context;
  const problem = element("div");
  const texts = element("div", { class: "stack" }, createPickers(context), createTexts(context));
  const choice = createCollectionChoice(context, (name) => {
    question.collection = name;
    change();
  });
  choice.element.hidden = true;
  const options = /** @type {const} */ (["texts", "collection"]).map((by) => {
    const radio = element("input", { type: "radio", name: "spot-by", value: by, checked: by === question.by });
    radio.addEventListener("change", () => {
      Object.assign(question, { by, threshold: chooseThreshold(features, by) });
      texts.hidden = by !== "texts";
      choice.element.hidden = by !== "collection";
      if (by === "collection") choice.refresh().catch((error) => showError(error, problem));
      change();
    });
    return element("label", { class: "row switch" }, radio, t(`spot.by_${by}`));
  });
  const fields = element("fieldset", { class: "row", hidden: !features.collections }, element("legend", { class: "visually-hidden" }, t("spot.by")), ...options);
  return element("div", { class: "stack" }, fields, problem, texts, choice.element);
}

/**
 * Create the choice of the least score of a find.
 *
 * @param {Context} context
 * @param {Question} question  is changed
 * @param {() => void} change
 */
function createThreshold({ t }, question, change) {
  const slider = element("input", { type: "range", min: 0, max: 1, step: 0.01 });
  const output = element("output", { class: "hint" });
  slider.addEventListener("input", () => {
    question.threshold = slider.valueAsNumber;
    output.textContent = writeNumber(question.threshold, t.language);
    change();
  });
  const row = element("label", { class: "length", hidden: true }, t("spot.threshold"), slider, output);
  return {
    element: row,
    /** @param {{measure: "z" | "cosine", threshold: number}} answer */
    show({ measure, threshold }) {
      row.hidden = false;
      slider.max = String(measure === "z" ? MOST_Z : 1);
      slider.value = String(threshold);
      output.textContent = t(`spot.measure_${measure}`, { threshold: writeNumber(threshold, t.language) });
    },
  };
}

/**
 * @param {Context} context
 * @param {ServiceRequest} request
 * @param {{found: import("./timeline.js").Find[], duration_s: number, windows: number}} answer
 * @returns {Node[]}
 */
function createFinds(context, request, answer) {
  const { session, t, announce } = context;
  const { found, duration_s, windows } = answer;
  const headline = t(found.length ? "spot.headline" : "spot.none", { count: found.length, labels: found.map(({ label }) => label).join(" ") });
  announce(headline);
  const seek = (/** @type {number} */ time_s) => session.dispatchEvent(new CustomEvent("seek", { detail: time_s }));
  return [
    element("p", { class: found.length ? "headline long" : "headline long none" }, headline),
    ...(found.length ? [createTimeline(context, found, duration_s, seek)] : []),
    element("p", { class: "hint" }, t("spot.windows", { windows, seconds: writeNumber(duration_s, t.language, 1) })),
    ...createRemarks(context, answer),
    createSnippets(context, [request], ROOT.href),
  ];
}
