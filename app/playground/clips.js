// @ts-check
/** The clips of the session: one of them is looked at. */

import { element, find } from "./dom.js";

/** @typedef {import("./context.js").Context} Context */
/** @typedef {import("./session.js").Clip} Clip */

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function createClips(context) {
  const { session, t, signal } = context;
  const list = element("ul", { class: "clips" });
  const root = element("section", { "aria-label": t("clips.title"), hidden: true }, list);
  const show = () => {
    const focused = [...list.querySelectorAll("button")].findIndex((button) => button === document.activeElement);
    root.hidden = !session.clips.length;
    list.replaceChildren(...session.clips.map((clip) => createClip(context, clip)));
    // The button with the focus was built anew, or it is gone: then its neighbour is where the person was.
    const buttons = list.querySelectorAll("button");
    if (focused >= 0) (buttons[Math.min(focused, buttons.length - 1)] ?? find("#results")).focus();
  };
  session.addEventListener("change", show, { signal });
  show();
  return root;
}

/**
 * @param {Context} context
 * @param {Clip} clip
 */
function createClip({ session, t }, clip) {
  const details = `${t(`origin.${clip.origin}`)}, ${t("clips.frames", { frames: clip.decoded.frames })}`;
  const isCurrent = clip === session.current;
  const choose = element("button", { type: "button", class: "chip", "aria-current": isCurrent && "true", title: details, onclick: () => session.select(clip.id) });
  choose.append(element("span", {}, clip.name));
  const remove = element("button", { type: "button", class: "remove", "aria-label": t("clips.remove", { name: clip.name }), onclick: () => session.remove(clip.id) }, "×");
  return element("li", {}, choose, remove);
}
