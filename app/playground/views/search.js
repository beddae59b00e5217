// @ts-check
/** A dictionary searched by signing or by a text: the nearest entries, each with its skeleton beside the clip's own. */

import { ROOT } from "../api.js";
import { element } from "../dom.js";
import { writeNumber } from "../numbers.js";
import { readPose } from "../pose/reader.js";
import { jsonRequest, rawRequest, send } from "../requests.js";
import { createSnippets } from "../snippets.js";
import { createCollectionChoice } from "./collections.js";
import { follow } from "./live.js";
import { createLoop } from "./looping.js";
import { createRemarks } from "./matches.js";
import { createPickers, readLanguages } from "./pickers.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../requests.js").ServiceRequest} ServiceRequest */
/** @typedef {{id: string, rank: number, score: number, gloss: string, kind: string, sign_language: string | null, preview: string | null, collection: string}} Hit */
/** @typedef {{collection: string, by: "clip" | "text", text: string, grouped: boolean}} Query */

const HITS = 8;

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const { api, session, t } = context;
  /** @type {Query} */
  const query = { collection: "", by: "clip", text: "", grouped: false };
  const place = element("div", { class: "stack result" });
  const choice = createCollectionChoice(context, (name) => {
    query.collection = name;
    refresh();
  });
  const section = element(
    "section",
    { class: "card stack", "aria-labelledby": "search-title" },
    element("h2", { id: "search-title" }, t("search.title")),
    element("p", { class: "hint" }, t("search.about")),
    choice.element,
    createQuestion(context, query, () => refresh()),
    place,
  );
  let isListed = false;
  const refresh = follow(context, {
    section,
    place,
    changes: ["current", "languages"],
    async compute(signal) {
      if (!isListed) await choice.refresh();
      isListed = true;
      const request = buildRequest(query, session);
      return request && { request, answer: await send(api, request, signal) };
    },
    show: (found) => (found === null ? [element("p", { class: "hint" }, t("search.empty"))] : createHits(context, found.request, found.answer)),
  });
  return section;
}

/**
 * Create what is asked: by the clip or by a text, every entry or one of each gloss.
 *
 * @param {Context} context
 * @param {Query} query  is changed
 * @param {() => void} change
 */
function createQuestion(context, query, change) {
  const { t } = context;
  const field = element("input", { type: "search", "aria-label": t("search.text"), placeholder: t("search.text") });
  const pickers = createPickers(context);
  const textual = element("div", { class: "stack", hidden: true }, field, pickers);
  const options = /** @type {const} */ (["clip", "text"]).map((by) => {
    const radio = element("input", { type: "radio", name: "search-by", value: by, checked: by === query.by });
    radio.addEventListener("change", () => {
      query.by = by;
      textual.hidden = by !== "text";
      change();
    });
    return element("label", { class: "row switch" }, radio, t(`search.by_${by}`));
  });
  field.addEventListener("input", () => {
    query.text = field.value.trim();
    change();
  });
  const grouped = element("input", { type: "checkbox" });
  grouped.addEventListener("change", () => {
    query.grouped = grouped.checked;
    change();
  });
  const legend = element("legend", { class: "visually-hidden" }, t("search.by"));
  const each = element("label", { class: "row switch" }, grouped, t("search.grouped"));
  return element("div", { class: "stack" }, element("div", { class: "row asked" }, element("fieldset", { class: "row" }, legend, ...options), each), textual);
}

/**
 * Build the request of a query; null while something of it is missing.
 *
 * @param {Query} query
 * @param {Context["session"]} session
 * @returns {ServiceRequest | null}
 */
function buildRequest({ collection, by, text, grouped }, session) {
  const path = `/api/collections/${encodeURIComponent(collection)}/search`;
  const options = { k: HITS, group_by: grouped ? "gloss" : null };
  if (!collection || (by === "clip" ? session.current === null : !text)) return null;
  return by === "text" || session.current === null
    ? jsonRequest(path, { text, ...readLanguages(session), ...options })
    : rawRequest(path, session.current, options);
}

/**
 * @param {Context} context
 * @param {ServiceRequest} request
 * @param {{hits: Hit[], warnings?: string[]}} answer
 * @returns {Node[]}
 */
function createHits(context, request, answer) {
  const { t, announce } = context;
  const [best] = answer.hits;
  const headline = best ? t("search.headline", { gloss: best.gloss || best.id, score: writeNumber(best.score, t.language) }) : t("search.none");
  announce(headline);
  const own = request.clip && element("li", { class: "hit own" }, createLoop(request.clip.decoded, t("search.own", { name: request.clip.name })), element("strong", {}, t("search.yours")), element("span", { class: "hint" }, request.clip.name));
  return [
    element("p", { class: "headline long" }, headline),
    element("ol", { class: "hits" }, own, ...answer.hits.map((hit) => createHit(context, hit))),
    ...createRemarks(context, answer),
    createSnippets(context, [request], ROOT.href),
  ];
}

/**
 * @param {Context} context
 * @param {Hit} hit
 */
function createHit(context, hit) {
  const { t } = context;
  const picture = element("div", { class: "picture" }, element("span", { class: "hint" }, t(hit.preview ? "search.loading" : "search.no_picture")));
  if (hit.preview) fillPicture(context, hit, picture);
  const bar = element("span");
  bar.style.width = `${100 * Math.max(0, hit.score)}%`;
  return element(
    "li",
    { class: "hit" },
    picture,
    element("strong", {}, `${hit.rank}. ${hit.gloss || hit.id}`),
    element("span", { class: "hint" }, [hit.sign_language, writeNumber(hit.score, t.language)].filter(Boolean).join(", ")),
    element("div", { class: "bar", "aria-hidden": "true" }, bar),
  );
}

/**
 * Draw an entry's skeleton, from the small pose that the service keeps for pictures.
 *
 * @param {Context} context
 * @param {Hit} hit
 * @param {HTMLElement} picture
 */
async function fillPicture({ api, t, signal }, hit, picture) {
  try {
    const path = `/api/collections/${encodeURIComponent(hit.collection)}/entries/${encodeURIComponent(hit.id)}/preview.pose`;
    const answer = await api.fetch(path, { signal });
    const pose = readPose(new Uint8Array(await answer.arrayBuffer()));
    picture.replaceChildren(createLoop(pose, t("search.picture", { gloss: hit.gloss || hit.id, language: hit.sign_language ?? "" })));
  } catch {
    picture.replaceChildren(element("span", { class: "hint" }, t("search.no_picture")));
  }
}
