// @ts-check
/** What the browser keeps for the page. Where a person has switched that off, it is kept as long as the page lives. */

/** @typedef {"localStorage" | "sessionStorage"} Kind */

export class Keep {
  /** @param {Kind} kind */
  constructor(kind) {
    this._kind = kind;
    /** @type {Map<string, string>} */
    this._values = new Map();
  }

  /**
   * @param {string} name
   * @returns {string | null}
   */
  get(name) {
    try {
      return window[this._kind].getItem(name);
    } catch {
      // Without cookies, even to name the storage is an error in Chrome and Firefox.
      return this._values.get(name) ?? null;
    }
  }

  /**
   * @param {string} name
   * @param {string} value  "" removes it
   */
  set(name, value) {
    this._values.set(name, value);
    try {
      if (value) window[this._kind].setItem(name, value);
      else window[this._kind].removeItem(name);
    } catch {
      // It stays in this page.
    }
  }
}
