// @ts-check
/** The languages of texts: which sign language is meant, and in which spoken language the texts are written. */

import { element } from "../dom.js";
import { nameSignLanguage } from "../sign_languages.js";

/** @typedef {import("../context.js").Context} Context */

/** Where the service does not say which spoken languages its model knows. */
const USUAL_SPOKEN = ["en", "de", "fr", "es", "it", "pt"];
/** Of the samples; the language with the most clips of all models. */
const FIRST_SIGN = "ase";

/**
 * Find the languages that the default model knows.
 *
 * @param {Pick<Context, "features" | "t">} context
 * @returns {{sign: {tag: string, name: string}[], spoken: string[]}}
 */
export function listLanguages({ features, t }) {
  const { models, defaultModel, languages } = features;
  const model = models.find((one) => one.name === defaultModel);
  const known = model?.sign_languages ?? null;
  const sign = known === null ? languages : known.map((/** @type {string} */ tag) => languages.find((one) => one.tag === tag) ?? { tag, name: tag });
  /** @type {{tag: string, name: string}[]} */
  const named = sign.map((/** @type {{tag: string, name: string}} */ one) => ({ ...one, name: nameSignLanguage(one, t) }));
  return { sign: named.sort((one, other) => one.name.localeCompare(other.name, t.language)), spoken: model?.spoken_languages ?? USUAL_SPOKEN };
}

/**
 * Create the pickers. They show and change the session's languages.
 *
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function createPickers(context) {
  const { session, t, signal } = context;
  const languages = listLanguages(context);
  const names = new Intl.DisplayNames([t.language], { type: "language" });
  const sign = element("select", {}, element("option", { value: "" }, t("languages.none")), ...languages.sign.map(({ tag, name }) => element("option", { value: tag }, `${name} (${tag})`)));
  const spoken = element("select", {}, ...languages.spoken.map((tag) => element("option", { value: tag }, `${names.of(tag) ?? tag} (${tag})`)));
  sign.addEventListener("change", () => session.setLanguages({ signLanguage: sign.value }));
  spoken.addEventListener("change", () => session.setLanguages({ spokenLanguage: spoken.value }));
  const show = () => {
    sign.value = session.signLanguage;
    spoken.value = session.spokenLanguage;
    // A prompt names both languages or none.
    spoken.disabled = session.signLanguage === "";
  };
  const listen = (/** @type {Event} */ event) => /** @type {any} */ (event).what === "languages" && show();
  session.addEventListener("change", listen, { signal });
  show();
  return element("div", { class: "row pickers" }, element("label", {}, t("languages.sign"), sign), element("label", {}, t("languages.spoken"), spoken));
}

/**
 * Choose the languages of a new session: American Sign Language and English where the model knows them.
 *
 * @param {Context} context
 */
export function chooseFirstLanguages(context) {
  const { session } = context;
  const { sign } = listLanguages(context);
  const first = sign.find(({ tag }) => tag === FIRST_SIGN) ?? sign[0];
  if (first) session.setLanguages({ signLanguage: first.tag });
}

/**
 * The languages as fields of a request; none where no sign language is chosen.
 *
 * @param {Context["session"]} session
 */
export function readLanguages({ signLanguage, spokenLanguage }) {
  return signLanguage ? { sign_language: signLanguage, spoken_language: spokenLanguage } : {};
}
