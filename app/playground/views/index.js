// @ts-check
/** The views, in the order of their tabs, and the player that stands above them. */

import { element } from "../dom.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../context.js").Features} Features */
/**
 * @typedef {object} View
 * @property {string} id
 * @property {string} title a key of strings.js
 * @property {(context: Context) => HTMLElement} create called when its tab is first opened
 * @property {(features: Features) => boolean} [isOffered] whether the service can do it
 */

/** @type {View[]} */
export const VIEWS = [];

/**
 * @param {Context} _context
 * @returns {HTMLElement}
 */
export function createPlayer(_context) {
  return element("div", {});
}
