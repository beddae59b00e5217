// @ts-check
/** The views, in the order of their tabs. */

/** @typedef {import("../context.js").Context} Context */
/** @typedef {{id: string, title: string, create: (context: Context) => HTMLElement}} View title is a key of strings.js */

/** @type {View[]} */
export const VIEWS = [];
