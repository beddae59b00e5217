// @ts-check
/** Keeps taught signs on the service, as a collection, where the service lets this page write. */

import { element } from "../dom.js";
import { encodeBase64 } from "../session.js";
import { readExamples } from "./bank.js";

/** @typedef {import("../context.js").Context} Context */

/**
 * Create the form; it is hidden where the service cannot keep anything.
 *
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function createKeeper(context) {
  const { features, session, t, announce, showError } = context;
  // The service's own rule for names of collections.
  const name = element("input", { type: "text", required: true, pattern: "[a-z0-9][a-z0-9_\\-]{0,47}", title: t("keep.name_rule"), autocomplete: "off" });
  const place = element("div", { class: "stack" });
  const button = element("button", { class: "quiet" }, t("keep.save"));
  const form = element("form", { class: "row grow" }, element("label", { class: "grow" }, t("keep.name"), name), button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    place.replaceChildren();
    try {
      const stored = await keepBank(context, name.value);
      const said = t("keep.saved", { count: stored, name: name.value });
      place.replaceChildren(element("p", { class: "good" }, said));
      announce(said);
      features.collections = true;
      session.dispatchEvent(new Event("collections"));
    } catch (error) {
      showError(error, place);
    }
    button.disabled = false;
  });
  const details = element("details", {}, element("summary", {}, t("keep.title")), element("div", { class: "stack" }, element("p", { class: "hint" }, t("keep.about")), form, place));
  const show = () => (details.hidden = !features.writable || !readExamples(session.bank).length);
  session.addEventListener("change", show, { signal: context.signal });
  show();
  return details;
}

/**
 * Store every example of the bank: with its pose while the session has the clip, else as its vector.
 *
 * @param {Context} context
 * @param {string} name  of the collection, which may exist
 * @returns {Promise<number>} how many were stored
 * @throws {import("../api.js").ApiError} the service refuses
 */
async function keepBank({ api, session, t }, name) {
  const examples = readExamples(session.bank);
  const path = `/api/collections/${encodeURIComponent(name)}`;
  await api.call(path, { method: "PUT", json: { description: t("keep.description") } });
  const entries = examples.map(({ label, vector, space, clip }) => {
    const found = session.clips.find(({ id }) => id === clip);
    const content = found ? { pose: encodeBase64(found.pose), source: found.name } : { vector, space };
    return { gloss: label, ...content };
  });
  const { stored } = await api.call(`${path}/entries`, { json: { entries } });
  return stored;
}
