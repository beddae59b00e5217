// @ts-check
/** What every part of the page is given: the session, the service, texts, and what the service can do. */

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./service.js").Service} Service */
/** @typedef {import("./sources/runs.js").Runs} Runs */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./strings.js").Translate} Translate */
/**
 * @typedef {object} Features what the service can do.
 * @property {boolean} ready the default model answers
 * @property {string} defaultModel
 * @property {any[]} models of /api/models
 * @property {{tag: string, name: string}[]} languages of /api/languages
 * @property {boolean} collections the service has a store
 * @property {boolean} writable its store may be changed
 * @property {boolean} needsKey
 * @property {boolean} estimator the files of the pose estimator are installed
 */
/**
 * @typedef {object} Context
 * @property {Session} session
 * @property {Api} api
 * @property {Service} service tells when it is back after it was away
 * @property {Runs} runs what is being opened, which goes on when the page is built anew
 * @property {{tab: string}} look what the person looks at; the page shows it again when it is built anew
 * @property {Translate} t
 * @property {Features} features
 * @property {(text: string) => void} announce speaks to screen readers
 * @property {(error: unknown, place: HTMLElement) => void} showError shows an error as a sentence with what to do
 * @property {AbortSignal} signal aborts when the page is built anew
 */

import { element } from "./dom.js";
import { STRINGS, translator } from "./strings.js";

/**
 * Write an error as a sentence with what to do.
 *
 * @param {unknown} error
 * @param {Translate} t
 * @returns {string}
 */
export function describeError(error, t) {
  const known = /** @type {{sentence?: (t: Translate) => string, code?: string, values?: Record<string, unknown>, message?: string}} */ (error);
  if (typeof known?.sentence === "function") return known.sentence(t);
  if (typeof known?.code === "string" && `error.${known.code}` in STRINGS.en) return t(`error.${known.code}`, known.values);
  return t("error.unforeseen", { reason: known?.message ?? String(error) });
}

/**
 * Make what shows errors.
 *
 * @param {Translate} t
 * @returns {(error: unknown, place: HTMLElement) => void}
 */
export function errorShower(t) {
  return (error, place) => place.replaceChildren(element("p", { class: "problem", role: "alert" }, describeError(error, t)));
}

/** An error of this page that has a sentence in strings.js. */
export class PageError extends Error {
  /**
   * @param {string} code of the text error.<code>
   * @param {Record<string, unknown>} [values] for the places in the text
   */
  constructor(code, values = {}) {
    super(translator("en")(`error.${code}`, values));
    this.name = "PageError";
    this.code = code;
    this.values = values;
  }
}
