// @ts-check
/** Whether the service answers and is ready. It is watched as long as the tab lives, because a service may stop and start again. */

import { ApiError, ROOT } from "./api.js";
import { PageError } from "./context.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {Awaited<ReturnType<Api["ready"]>>} State */

/** Between two questions while the service is not ready. */
const PAUSE_MS = 1500;
/** Between two questions while it is ready. A call that fails, or a look at the tab, asks at once. */
const SLOW_MS = 30_000;

/**
 * The service, as this tab sees it.
 *
 * Events: "state" after each question, "back" when the service is ready again after it was not.
 */
export class Service extends EventTarget {
  /** @param {Api} api */
  constructor(api) {
    super();
    this._api = api;
    /** Null until the service was first asked. @type {State | null} */
    this.state = null;
    /** Whether the service answers with another page than the one that this tab shows. */
    this.isReplaced = false;
    /** @type {Promise<State> | null} */
    this._asking = null;
    this._timer = 0;
    /** How often a module did not come. */
    this._missed = 0;
  }

  /** Begin to watch. */
  watch() {
    this._api.addEventListener("failed", () => this.ask());
    document.addEventListener("visibilitychange", () => document.hidden || this.ask());
    this.ask();
  }

  /**
   * Ask whether the default model is ready.
   *
   * @returns {Promise<State>}
   */
  ask() {
    this._asking ??= this._ask().finally(() => (this._asking = null));
    return this._asking;
  }

  async _ask() {
    clearTimeout(this._timer);
    const before = this.state;
    const state = (this.state = await this._api.ready());
    const isBack = state.ready && before?.ready === false;
    if (isBack) this.isReplaced = await this._comparePage();
    this._timer = setTimeout(() => this._askLater(), state.ready ? SLOW_MS : PAUSE_MS);
    this.dispatchEvent(new Event("state"));
    if (isBack) this.dispatchEvent(new Event("back"));
    return state;
  }

  /** Ask, unless nobody looks: the next look asks. */
  _askLater() {
    if (!document.hidden) this.ask();
  }

  /**
   * Wait until the service is ready.
   *
   * @param {AbortSignal} signal ends the wait early
   */
  async waitUntilReady(signal) {
    while (!signal.aborted && !this.state?.ready) await waitFor(this, "state", signal);
  }

  /**
   * Do something, and again whenever the service has come back, until it succeeds.
   *
   * @param {() => Promise<void>} work
   * @param {{signal: AbortSignal, onError: (error: unknown) => void}} options
   */
  async persist(work, { signal, onError }) {
    while (!signal.aborted) {
      try {
        await work();
        return;
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
      await waitFor(this, "back", signal);
    }
  }

  /**
   * Load a module of this page that is wanted late.
   *
   * @template Module
   * @param {(mark: string) => Promise<Module>} read imports it by its address, with the mark behind
   * @returns {Promise<Module>}
   * @throws {ApiError | PageError} the service is away, or has another page now
   */
  async loadModule(read) {
    try {
      // Browsers remember a module that did not come, and never ask for its address again.
      return await read(this._missed ? `?${this._missed}` : "");
    } catch {
      this._missed += 1;
    }
    const { ready } = await this.ask();
    if (ready) this.isReplaced = await this._comparePage();
    if (this.isReplaced) throw new PageError("page_replaced");
    throw ready ? new PageError("page_incomplete") : new ApiError(0, { code: "unreachable" });
  }

  /** @returns {Promise<boolean>} whether the service answers with another page; false where it does not answer. */
  async _comparePage() {
    try {
      const answer = await this._api.fetch("/");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      return !page.querySelector(`script[src^="${findFolder()}"]`) || page.body.dataset.keys !== document.body.dataset.keys;
    } catch {
      return false;
    }
  }
}

/** The folder of this page's files below the service's root; its name has the digest of all files. */
function findFolder() {
  return new URL(".", import.meta.url).href.slice(ROOT.href.length);
}

/**
 * @param {EventTarget} target
 * @param {string} name of an event
 * @param {AbortSignal} signal ends the wait early
 * @returns {Promise<void>}
 */
function waitFor(target, name, signal) {
  return new Promise((resolve) => {
    target.addEventListener(name, () => resolve(), { once: true, signal });
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
