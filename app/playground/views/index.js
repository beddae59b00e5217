// @ts-check
/**
 * The views, in the order of their tabs, and the player that stands above them. Each is loaded when it is first needed,
 * so that the page is there at once.
 */

import { element } from "../dom.js";
import { chooseFirstLanguages } from "./pickers.js";
import { chooseFirstTexts } from "./texts.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {(context: Context) => HTMLElement} Create */
/**
 * @typedef {object} View
 * @property {string} id
 * @property {string} title  a key of strings.js
 * @property {Create} create  called when its tab is first opened
 * @property {(features: Context["features"]) => boolean} [isOffered]  whether the service can do it; if unset, always
 */

/** @type {View[]} */
export const VIEWS = [
  { id: "letters", title: "letters.tab", create: (context) => load(context, (mark) => import(`./letters.js${mark}`)) },
  { id: "similarity", title: "similarity.tab", create: (context) => load(context, (mark) => import(`./similarity.js${mark}`)) },
  { id: "search", title: "search.tab", create: (context) => load(context, (mark) => import(`./search.js${mark}`)), isOffered: ({ collections }) => collections },
  { id: "teach", title: "teach.tab", create: (context) => load(context, (mark) => import(`./teach.js${mark}`)) },
  { id: "spotting", title: "spot.tab", create: (context) => load(context, (mark) => import(`./spotting.js${mark}`)) },
  { id: "languages", title: "heat.tab", create: (context) => load(context, (mark) => import(`./languages.js${mark}`)) },
];

/**
 * Choose languages and texts for a session that has just begun.
 *
 * @param {Context} context
 */
export function chooseDefaults(context) {
  chooseFirstLanguages(context);
  chooseFirstTexts(context);
}

/**
 * Create what shows the current clip.
 *
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function createPlayer(context) {
  return load(context, (mark) => import(`./player.js${mark}`));
}

/**
 * Make a place that a view fills once its module is there.
 *
 * @param {Context} context
 * @param {(mark: string) => Promise<{create: Create}>} read imports it
 * @returns {HTMLElement}
 */
function load(context, read) {
  const { service, signal } = context;
  const place = element("div", {});
  const work = async () => {
    const { create } = await service.loadModule(read);
    if (!signal.aborted) place.replaceChildren(create(context));
  };
  service.persist(work, { signal, onError: (error) => context.showError(error, place) });
  return place;
}
