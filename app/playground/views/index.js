// @ts-check
/** The views, in the order of their tabs, and the player that stands above them. */

import { create as createHeat } from "./languages.js";
import { create as createLetters } from "./letters.js";
import { create as createSearch, isOffered as canSearch } from "./search.js";
import { create as createSimilarity } from "./similarity.js";
import { create as createSpotting } from "./spotting.js";
import { create as createTeach } from "./teach.js";

export { createPlayer } from "./player.js";

/** @typedef {import("../context.js").Context} Context */
/**
 * @typedef {object} View
 * @property {string} id
 * @property {string} title  a key of strings.js
 * @property {(context: Context) => HTMLElement} create
 * @property {(features: Context["features"]) => boolean} [isOffered]  whether the service can do it; if unset, always
 */

/** @type {View[]} */
export const VIEWS = [
  { id: "letters", title: "letters.tab", create: createLetters },
  { id: "similarity", title: "similarity.tab", create: createSimilarity },
  { id: "search", title: "search.tab", create: createSearch, isOffered: canSearch },
  { id: "teach", title: "teach.tab", create: createTeach },
  { id: "spotting", title: "spot.tab", create: createSpotting },
  { id: "languages", title: "heat.tab", create: createHeat },
];
