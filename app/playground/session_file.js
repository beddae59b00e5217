// @ts-check
/** Keeps the session as a file or as a link, and opens either. */

import { element } from "./dom.js";
import { readLink, writeLink } from "./link.js";

/** @typedef {import("./context.js").Context} Context */

const FILE_NAME = "signclip-session.json";

/**
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function createSessionFile(context) {
  const { service, session, t } = context;
  const place = element("div", {});
  const input = element("input", { type: "file", accept: ".json,application/json", hidden: true, id: "session-file" });
  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    input.value = "";
    if (file) await open(file);
  });
  /** @param {Blob | null} file */
  const open = async (file) => {
    place.replaceChildren();
    try {
      if (file === null) return;
      await session.fromFile(file);
      context.announce(t("session.restored", { clips: session.clips.length }));
    } catch (error) {
      context.showError(error, place);
    }
  };
  const openLink = async () => {
    try {
      await open(await readLink(location.hash));
    } catch (error) {
      context.showError(error, place);
    }
  };
  const copy = async () => {
    place.replaceChildren();
    try {
      // Loaded when it is wanted: the page begins without it.
      /** @type {typeof import("./pose/thinning.js")} */
      const { thinPose } = await service.loadModule((mark) => import(`./pose/thinning.js${mark}`));
      place.replaceChildren(await offerLink(context, await writeLink(session, location.href, thinPose)));
    } catch (error) {
      context.showError(error, place);
    }
  };
  addEventListener("hashchange", openLink, { signal: context.signal });
  // Built anew in another language, the page has its session already.
  if (!session.clips.length) openLink();
  const save = element("button", { type: "button", class: "quiet", onclick: () => download(session.toFile()) }, t("session.save"));
  const choose = element("button", { type: "button", class: "quiet", onclick: () => input.click() }, t("session.open"));
  const link = element("button", { type: "button", class: "quiet", onclick: copy }, t("session.link"));
  return element("section", { class: "card stack", id: "session" },
    element("h2", {}, t("session.title")),
    element("div", { class: "row" }, save, choose, link, input),
    element("p", { class: "hint" }, t("session.hint")),
    place,
  );
}

/**
 * Copy a link, and show it for browsers that let no page copy.
 *
 * @param {Context} context
 * @param {string} link
 */
async function offerLink({ t, announce }, link) {
  const copied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
  const said = t(copied ? "session.linkCopied" : "session.linkShown", { size: Math.ceil(link.length / 1000) });
  announce(said);
  const field = element("input", { type: "text", readonly: true, value: link, "aria-label": t("session.link"), onfocus: () => field.select() });
  return element("div", { class: "stack" }, element("p", { class: "hint" }, said), field);
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
