// @ts-check
/** How well each text fits the current clip, as bars that follow whatever is changed. */

import { element } from "../dom.js";
import { formRequest, send } from "../requests.js";
import { createMatches } from "./matches.js";
import { follow } from "./live.js";
import { createPickers, readLanguages } from "./pickers.js";
import { createTexts } from "./texts.js";

/** @typedef {import("../context.js").Context} Context */

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const { session, api, t } = context;
  const place = element("div", { class: "stack result" });
  const section = element(
    "section",
    { class: "card stack", "aria-labelledby": "similarity-title" },
    element("h2", { id: "similarity-title" }, t("similarity.title")),
    element("p", { class: "hint" }, t("similarity.about")),
    createPickers(context),
    createTexts(context),
    place,
  );
  follow(context, {
    section,
    place,
    changes: ["current", "texts", "languages"],
    async compute(signal) {
      const { current, texts } = session;
      if (current === null || !texts.length) return null;
      const request = formRequest("/api/similarity", current, { text: texts, ...readLanguages(session) });
      return { request, texts, answer: await send(api, request, signal) };
    },
    show: (found) => (found === null ? [element("p", { class: "hint" }, t("similarity.empty"))] : createMatches(context, found)),
  });
  return section;
}
