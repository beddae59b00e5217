// @ts-check
/** Saves the session as a file, and opens such a file. */

import { element } from "./dom.js";

/** @typedef {import("./context.js").Context} Context */

const FILE_NAME = "signclip-session.json";

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function createSessionFile(context) {
  const { session, t } = context;
  const place = element("div", {});
  const input = element("input", { type: "file", accept: ".json,application/json", hidden: true, id: "session-file" });
  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    input.value = "";
    if (!file) return;
    place.replaceChildren();
    try {
      await session.fromFile(file);
      context.announce(t("session.restored", { clips: session.clips.length }));
    } catch (error) {
      context.showError(error, place);
    }
  });
  const save = element("button", { type: "button", class: "quiet", onclick: () => download(session.toFile()) }, t("session.save"));
  const open = element("button", { type: "button", class: "quiet", onclick: () => input.click() }, t("session.open"));
  return element("section", { class: "card stack", id: "session" },
    element("h2", {}, t("session.title")),
    element("div", { class: "row" }, save, open, input),
    element("p", { class: "hint" }, t("session.hint")),
    place,
  );
}

/** @param {Blob} blob */
function download(blob) {
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: FILE_NAME });
  document.body.append(link);
  link.click();
  link.remove();
  // The download has begun by then, in every browser.
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
