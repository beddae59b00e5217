// @ts-check
/** Elements built by code, so that no text from outside is ever read as HTML. */

/** @typedef {string | number | Node | null | undefined | false} Child */

/**
 * Build an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [attributes] names that start with "on" are listeners; true is an attribute without
 *   a value; false, null and undefined leave it out.
 * @param {...Child} children texts and nodes; false, null and undefined are left out.
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  append(made, ...children);
  return made;
}

/**
 * Append texts and nodes; false, null and undefined are left out.
 *
 * @param {Element} parent
 * @param {...Child} children
 */
export function append(parent, ...children) {
  for (const child of children) {
    if (child !== false && child !== null && child !== undefined) parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Find the one element that a selector names.
 *
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {HTMLElement}
 * @throws {Error} the page has no such element.
 */
export function find(selector, within = document) {
  const found = within.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no ${selector}`);
  return found;
}
