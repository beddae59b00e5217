// @ts-check
/** The views as tabs (WAI-ARIA Authoring Practices, "Tabs"): arrow keys, Home and End move between them. */

import { append, element } from "./dom.js";
import { VIEWS } from "./views/index.js";

/** @typedef {import("./context.js").Context} Context */
/** @typedef {import("./views/index.js").View} View */
/** @typedef {{view: View, tab: HTMLButtonElement, panel: HTMLElement, content: HTMLElement | null}} Tab */

export class Tabs {
  /** @param {Context} context */
  constructor(context) {
    const { t, session, signal } = context;
    this._context = context;
    this._empty = element("div", { class: "card empty" }, drawHand(), element("p", {}, t("page.empty")));
    const list = element("div", { class: "tabs", role: "tablist", "aria-label": t("page.views") });
    /** @type {Tab[]} */
    this._tabs = VIEWS.map((view) => this._make(view));
    append(list, ...this._tabs.map(({ tab }) => tab));
    list.addEventListener("keydown", (event) => this._move(event));
    this._box = element("div", { class: "stack" }, list, ...this._tabs.map(({ panel }) => panel));
    this.root = element("div", { class: "stack" }, this._empty, this._box);
    session.addEventListener("change", () => this._show(), { signal });
    // A view may have made the first collection.
    session.addEventListener("collections", () => this.showOffered(), { signal });
    this.showOffered();
    this._show();
  }

  /**
   * @param {View} view
   * @returns {Tab}
   */
  _make(view) {
    const panel = element("div", { role: "tabpanel", id: `panel-${view.id}`, "aria-labelledby": `tab-${view.id}`, hidden: true });
    const tab = element("button", { type: "button", role: "tab", id: `tab-${view.id}`, "aria-controls": `panel-${view.id}`, "aria-selected": "false", tabindex: "-1", onclick: () => this.open(view.id) });
    tab.textContent = this._context.t(view.title);
    return { view, tab, panel, content: null };
  }

  /** Show the tabs of what the service can do. */
  showOffered() {
    for (const { view, tab } of this._tabs) tab.hidden = view.isOffered?.(this._context.features) === false;
  }

  _show() {
    const isEmpty = this._context.session.current === null;
    this._empty.hidden = !isEmpty;
    this._box.hidden = isEmpty;
    if (!isEmpty && !this._tabs.some(({ panel }) => !panel.hidden)) this.open(this._chooseFirst());
  }

  /** @returns {string} the id of the view that was open before the page was built anew, else of the first one */
  _chooseFirst() {
    const { tab } = this._context.look;
    return this._tabs.some((one) => one.view.id === tab && !one.tab.hidden) ? tab : VIEWS[0].id;
  }

  /** @param {string} id */
  open(id) {
    this._context.look.tab = id;
    for (const one of this._tabs) {
      const isOpen = one.view.id === id;
      if (isOpen && one.content === null) {
        one.content = one.view.create(this._context);
        one.panel.append(one.content);
      }
      one.panel.hidden = !isOpen;
      one.tab.setAttribute("aria-selected", String(isOpen));
      one.tab.tabIndex = isOpen ? 0 : -1;
    }
  }

  /** @param {KeyboardEvent} event */
  _move(event) {
    const tabs = this._tabs.filter(({ tab }) => !tab.hidden);
    const now = tabs.findIndex(({ tab }) => tab === document.activeElement);
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 });
    const next = steps[event.key];
    if (now < 0 || next === undefined) return;
    event.preventDefault();
    const chosen = tabs[(next + tabs.length) % tabs.length];
    this.open(chosen.view.id);
    chosen.tab.focus();
  }
}

/** The line drawing of a hand that stands where nothing is to be seen yet. */
function drawHand() {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", "M11 25c-2-3-3-5-4-9M11 25h9c2-3 3-8 4-12M12 18V8M16 17V6M20 18V8");
  path.setAttribute("fill", "none");
  path.setAttribute("stroke", "currentColor");
  path.setAttribute("stroke-width", "2");
  path.setAttribute("stroke-linecap", "round");
  svg.append(path);
  return svg;
}
