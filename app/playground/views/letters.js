// @ts-check
/** Which letter of the alphabet the current clip is. */

import { element } from "../dom.js";
import { formRequest, send } from "../requests.js";
import { follow } from "./live.js";
import { createMatches } from "./matches.js";
import { createPickers, readLanguages } from "./pickers.js";
import { LETTERS } from "./texts.js";

/** @typedef {import("../context.js").Context} Context */

/** Rows that are shown at once; the others are folded. */
const FIRST_ROWS = 5;

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function create(context) {
  const { session, api, t } = context;
  const place = element("div", { class: "stack result" });
  const section = element(
    "section",
    { class: "card stack", "aria-labelledby": "letters-title" },
    element("h2", { id: "letters-title" }, t("letters.title")),
    element("p", { class: "hint" }, t("letters.about")),
    createPickers(context),
    place,
  );
  follow(context, {
    section,
    place,
    changes: ["current", "languages"],
    async compute(signal) {
      if (session.current === null) return null;
      const request = formRequest("/api/similarity", session.current, { text: LETTERS, ...readLanguages(session) });
      return { request, texts: LETTERS, answer: await send(api, request, signal) };
    },
    show: (found) => (found === null ? [element("p", { class: "hint" }, t("similarity.empty"))] : createMatches(context, found, FIRST_ROWS)),
  });
  return section;
}
