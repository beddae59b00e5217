// @ts-check
/** A result that follows the session: it is computed anew when what it depends on changes, while somebody can see it. */

import { ApiError } from "../api.js";
import { element } from "../dom.js";

/** @typedef {import("../context.js").Context} Context */

/** Until typing or dragging pauses. */
const PAUSE_MS = 120;

/**
 * Keep a result up to date.
 *
 * @template Answer
 * @param {Context} context
 * @param {object} options
 * @param {HTMLElement} options.section  what must be shown for the result to be computed
 * @param {HTMLElement} options.place  where the result stands
 * @param {string[]} options.changes  of the session, `event.what`
 * @param {(signal: AbortSignal) => Promise<Answer>} options.compute
 * @param {(answer: Answer) => Node[]} options.show
 * @returns {() => void} computes the result anew, after another change
 */
export function follow(context, { section, place, changes, compute, show }) {
  let isStale = true;
  let isShown = false;
  /** Whether what stands there is an error that may be gone with the service's return. */
  let isBroken = false;
  let pause = 0;
  /** @type {AbortController | null} */
  let running = null;

  /** @param {unknown} error */
  const fail = (error) => {
    isBroken = error instanceof ApiError && error.isOfService;
    context.showError(error, place);
    place.append(element("div", { class: "row" }, element("button", { type: "button", class: "quiet", onclick: refresh }, context.t("live.again"))));
  };
  const refresh = async () => {
    if (!isShown) return;
    isStale = isBroken = false;
    running?.abort();
    const { signal } = (running = new AbortController());
    place.setAttribute("aria-busy", "true");
    try {
      const answer = await compute(signal);
      if (!signal.aborted) place.replaceChildren(...show(answer));
    } catch (error) {
      if (!signal.aborted) fail(error);
    }
    if (!signal.aborted) place.removeAttribute("aria-busy");
  };
  const mark = () => {
    isStale = true;
    clearTimeout(pause);
    pause = setTimeout(refresh, PAUSE_MS);
  };
  // Panels of other tabs are not displayed at all; what is only scrolled away counts as shown.
  const watcher = new IntersectionObserver(
    (entries) => {
      isShown = entries[entries.length - 1].isIntersecting;
      if (isShown && isStale) refresh();
    },
    { rootMargin: "100000px" },
  );
  watcher.observe(section);
  const listen = (/** @type {Event} */ event) => changes.includes(/** @type {any} */ (event).what) && mark();
  context.session.addEventListener("change", listen, { signal: context.signal });
  context.service.addEventListener("back", () => isBroken && mark(), { signal: context.signal });
  context.signal.addEventListener("abort", () => {
    watcher.disconnect();
    running?.abort();
    clearTimeout(pause);
  });
  return mark;
}
