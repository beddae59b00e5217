// @ts-check
/** The texts that clips are compared with: typed, pasted as a list, and removed one by one. */

import { element } from "../dom.js";

/** @typedef {import("../context.js").Context} Context */

export const LETTERS = Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
/** The shipped model knows letters; other models know words. */
const LETTER_MODEL = "fingerspelling";
const FIRST_WORDS = ["house", "hello", "thank you", "mother", "water"];
/** Bars beyond this are no picture; the service takes more. */
const MOST_TEXTS = 60;

/**
 * Choose texts for a new session.
 *
 * @param {Context} context
 */
export function chooseFirstTexts({ session, features }) {
  session.setTexts(features.defaultModel === LETTER_MODEL ? ["A", "B", "C", "L", "O"] : FIRST_WORDS);
}

/**
 * Create the editor of the session's texts.
 *
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function createTexts(context) {
  const { session, t, signal, announce } = context;
  const field = element("input", { type: "text", autocomplete: "off", placeholder: t("texts.placeholder"), "aria-label": t("texts.add") });
  const chips = element("ul", { class: "chips" });
  const form = element("form", { class: "row grow" }, field, element("button", { class: "quiet" }, t("texts.add")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = field.value.split(/[,;\n]/).map((text) => text.trim()).filter(Boolean);
    if (!typed.length) return;
    session.setTexts([...new Set([...session.texts, ...typed])].slice(0, MOST_TEXTS));
    field.value = "";
    announce(t("texts.added", { texts: typed.join(", ") }));
  });
  const show = () => {
    chips.replaceChildren(
      ...session.texts.map((text, place) =>
        element(
          "li",
          {},
          element("button", { type: "button", class: "chip", "aria-label": t("texts.remove", { text }), onclick: () => remove(place) }, text, element("span", { "aria-hidden": "true" }, "×")),
        ),
      ),
    );
  };
  /** @param {number} place */
  const remove = (place) => {
    session.setTexts(session.texts.filter((_, other) => other !== place));
    // The button with the focus is gone; its neighbour is where the person was.
    const buttons = chips.querySelectorAll("button");
    (buttons[Math.min(place, buttons.length - 1)] ?? field).focus();
  };
  const listen = (/** @type {Event} */ event) => /** @type {any} */ (event).what === "texts" && show();
  session.addEventListener("change", listen, { signal });
  show();
  return element("div", { class: "stack" }, form, chips);
}
