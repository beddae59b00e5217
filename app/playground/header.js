// @ts-check
/** The top of the page: what this is, whether the service is ready, the language, and the API key. */

import { ROOT } from "./api.js";
import { describeError } from "./context.js";
import { append, element } from "./dom.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./service.js").State} State */
/** @typedef {import("./strings.js").Translate} Translate */

/**
 * @param {Translate} t
 * @param {() => void} switchLanguage
 */
export function createHeader(t, switchLanguage) {
  const status = element("span", { class: "status", role: "status", "data-state": "starting" }, t("status.starting"));
  const icon = element("img", { src: new URL("icon.svg", import.meta.url).href, alt: "" });
  const root = element("header", {},
    element("a", { class: "skip", href: "#results" }, t("page.skip")),
    element("div", { class: "top" },
      element("a", { class: "brand", href: ROOT.href }, icon, "SignCLIP"),
      status,
      element("nav", { "aria-label": "SignCLIP" },
        element("a", { href: new URL("docs", ROOT).href }, t("page.docs")),
        element("button", { type: "button", lang: t("page.otherLanguage"), onclick: switchLanguage }, t("page.language")),
      ),
    ),
  );
  return {
    root,
    /**
     * Show whether the service is ready, and why it is not.
     *
     * @param {State} state
     * @param {HTMLElement} notice
     * @param {boolean} isReplaced whether the service has another page now
     */
    show({ ready, reason, model }, notice, isReplaced) {
      const name = ready ? "ready" : reason ? "starting" : "away";
      status.dataset.state = name;
      write(status, t(`status.${name}`, { model }));
      notice.hidden = ready && !isReplaced;
      if (ready) write(notice, isReplaced ? t("error.page_replaced") : "");
      else write(notice, reason ? `${t("ready.waiting")} ${t("ready.reason", { reason })}` : t("ready.away"));
    },
  };
}

/**
 * Write a text where it changes, because screen readers say again what is written again.
 *
 * @param {HTMLElement} place
 * @param {string} text
 */
function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/**
 * @param {Translate} t
 * @param {boolean} estimatesHere whether this page can estimate poses by itself.
 */
export function createLead(t, estimatesHere) {
  return element("div", { class: "lead" },
    element("h1", {}, t("page.lead")),
    element("p", {}, t(estimatesHere ? "page.private" : "page.serverPrivate")),
  );
}

/**
 * The field for the API key, where the service needs one.
 *
 * @param {Translate} t
 * @param {Api} api
 * @param {() => void} retry called when the key has changed.
 */
export function createKeyForm(t, api, retry) {
  const input = element("input", { id: "key", type: "password", autocomplete: "off", value: api.key, required: true });
  const place = element("div", {});
  const save = element("button", { type: "submit" }, t("key.save"));
  const forget = element("button", { type: "button", class: "quiet", hidden: !api.key, onclick: () => change("") }, t("key.forget"));
  /** @param {string} key */
  const change = (key) => {
    api.key = key;
    retry();
  };
  const root = element("form", { class: "key" }, element("label", { for: "key" }, t("key.label"), input), save, forget);
  append(root, element("p", { class: "hint" }, t("key.hint")), place);
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    change(input.value.trim());
  });
  return {
    root,
    /** @param {unknown} error what the service said to the key. */
    refuse(error) {
      if (api.key) place.replaceChildren(element("p", { class: "problem", role: "alert" }, describeError(error, t)));
      input.focus();
    },
  };
}
