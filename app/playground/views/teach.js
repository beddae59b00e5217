// @ts-check
/** Signs of one's own: a few examples are taught, and each further clip is compared with them. The bank stays in the page. */

import { ROOT } from "../api.js";
import { element } from "../dom.js";
import { writeNumber } from "../numbers.js";
import { createSnippets } from "../snippets.js";
import { countLabels, findLimit, rankLabels, readExamples } from "./bank.js";
import { createBars } from "./bars.js";
import { createKeeper } from "./keeper.js";
import { follow } from "./live.js";
import { createRemarks } from "./matches.js";
import { buildClipRequest, embedClip } from "./vectors.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("./vectors.js").Embedded} Embedded */

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const { session, t } = context;
  const place = element("div", { class: "stack result" });
  const section = element(
    "section",
    { class: "card stack", "aria-labelledby": "teach-title" },
    element("h2", { id: "teach-title" }, t("teach.title")),
    element("p", { class: "hint" }, t("teach.about")),
    createLesson(context),
    place,
    createKeeper(context),
  );
  follow(context, {
    section,
    place,
    changes: ["current", "bank"],
    async compute() {
      const clip = session.current;
      const examples = readExamples(session.bank);
      return clip === null || !examples.length ? null : { clip, examples, embedded: await embedClip(context, clip) };
    },
    show(found) {
      if (found === null) return [element("p", { class: "hint" }, t("teach.empty"))];
      const snippets = createSnippets(context, [buildClipRequest(found.clip)], ROOT.href);
      return [...createNearest(context, found.examples, found.embedded), ...createRemarks(context, found.embedded.remarks, found.clip.decoded.frames), snippets];
    },
  });
  return section;
}

/**
 * Create the form that teaches the current clip, and the list of what was taught.
 *
 * @param {Context} context
 */
function createLesson(context) {
  const { session, t, signal, announce, showError } = context;
  const names = element("datalist", { id: "teach-names" });
  const field = element("input", { type: "text", required: true, maxlength: 100, list: "teach-names", autocomplete: "off" });
  const button = element("button", {}, t("teach.add"));
  const problem = element("div");
  const taught = element("ul", { class: "chips" });
  const form = element("form", { class: "row grow" }, element("label", { class: "grow" }, t("teach.name"), field), names, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [clip, label] = [session.current, field.value.trim()];
    if (clip === null || !label) return;
    problem.replaceChildren();
    button.disabled = true;
    try {
      const { vector, space } = await embedClip(context, clip);
      const examples = [...readExamples(session.bank), { label, vector, space, clip: clip.id }];
      session.setBank(examples);
      announce(t("teach.added", { label, count: countLabels(examples).get(label) ?? 1 }));
    } catch (error) {
      showError(error, problem);
    }
    show();
  });
  const show = () => {
    const counts = [...countLabels(readExamples(session.bank))];
    button.disabled = session.current === null;
    names.replaceChildren(...counts.map(([label]) => element("option", { value: label })));
    taught.hidden = !counts.length;
    taught.replaceChildren(...counts.map(([label, count]) => createTaught(context, label, count, field)));
  };
  const listen = (/** @type {Event} */ event) => ["bank", "current"].includes(/** @type {any} */ (event).what) && show();
  session.addEventListener("change", listen, { signal });
  show();
  return element("div", { class: "stack" }, form, problem, taught);
}

/**
 * @param {Context} context
 * @param {string} label
 * @param {number} count
 * @param {HTMLElement} next  gets the focus when the label is removed
 */
function createTaught({ session, t }, label, count, next) {
  const remove = () => {
    session.setBank(readExamples(session.bank).filter((example) => example.label !== label));
    next.focus();
  };
  return element(
    "li",
    {},
    element("button", { type: "button", class: "chip", "data-count": count, "aria-label": t("teach.remove", { label, count }), onclick: remove }, element("span", {}, label), element("span", { "aria-hidden": "true" }, "×")),
  );
}

/**
 * Show which taught sign a clip is nearest to.
 *
 * @param {Context} context
 * @param {import("./bank.js").Example[]} taught
 * @param {Embedded} embedded
 * @returns {Node[]}
 */
function createNearest({ t, announce }, taught, { vector, space }) {
  const examples = taught.filter((example) => example.space === space);
  if (!examples.length) return [element("p", { class: "problem" }, t("teach.other_space"))];
  const ranked = rankLabels(examples, vector);
  const limit = findLimit(examples);
  const isSure = limit === null || ranked[0].score > limit;
  const values = { label: ranked[0].label, score: writeNumber(ranked[0].score, t.language) };
  const headline = t(isSure ? "teach.headline" : "teach.unsure", values);
  announce(headline);
  const rows = ranked.map(({ label, score, count }) => ({ label, share: score, text: writeNumber(score, t.language), detail: t("teach.examples", { count }) }));
  return [
    element("p", { class: isSure ? "headline" : "headline none" }, headline),
    element("p", { class: "hint" }, limit === null ? t("teach.one_label") : t("teach.limit", { limit: writeNumber(limit, t.language) })),
    createBars(t("teach.caption"), rows),
  ];
}
