// @ts-check
/** A place of its own for each thing that is opened: its progress while it works, and its error until the next one. */

import { element } from "../dom.js";

/** @typedef {import("../context.js").Context} Context */

/**
 * Run something, and show its error. What earlier runs said goes, unless they still work: two videos may be estimated at a time.
 *
 * @param {Context} context
 * @param {HTMLElement} parent
 * @param {(place: HTMLElement) => Promise<void>} work
 */
export async function runInPlace({ showError }, parent, work) {
  for (const earlier of parent.querySelectorAll(":scope > :not([data-works])")) earlier.remove();
  const place = element("div", { class: "stack", "data-works": true });
  parent.append(place);
  try {
    await work(place);
  } catch (error) {
    showError(error, place);
  }
  delete place.dataset.works;
}
