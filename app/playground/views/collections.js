// @ts-check
/** The collections of the service, and a choice of one of them. */

import { element } from "../dom.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {{name: string, space: string, entries: number, description: string}} Collection */

/**
 * List the collections, the largest first.
 *
 * @param {Context} context
 * @param {AbortSignal} [signal]
 * @returns {Promise<Collection[]>}
 */
export async function listCollections({ api }, signal) {
  const { collections } = await api.call("/api/collections", signal ? { signal } : {});
  return [...collections].sort((one, other) => other.entries - one.entries);
}

/**
 * Create a choice that is filled when it is first shown.
 *
 * @param {Context} context
 * @param {(name: string) => void} change  called with the first collection, too; not where there is none
 */
export function createCollectionChoice(context, change) {
  const { session, t, signal } = context;
  const select = element("select");
  const label = element("label", { class: "row" }, t("search.collection"), select);
  const none = element("p", { class: "hint", hidden: true }, t("search.no_collections"));
  select.addEventListener("change", () => change(select.value));
  /** Read the list anew, and keep the choice if it is still there. */
  const refresh = async () => {
    const found = await listCollections(context);
    const chosen = select.value;
    select.replaceChildren(...found.map(({ name, entries }) => element("option", { value: name }, t("search.option", { name, entries }))));
    label.hidden = !found.length;
    none.hidden = found.length > 0;
    if (found.some(({ name }) => name === chosen)) select.value = chosen;
    if (found.length && select.value !== chosen) change(select.value);
  };
  // Without an answer the list stays as it was.
  session.addEventListener("collections", () => refresh().catch(() => {}), { signal });
  return { element: element("div", { class: "stack" }, label, none), refresh };
}
