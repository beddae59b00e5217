// @ts-check
/** One pose estimator in a worker of its own, so that the page stays quick. */

import { PageError } from "../context.js";
import { SETTINGS } from "./extractor.js";

/** @typedef {"cpu" | "webgl"} Delegate what its networks run on */
/** @typedef {{data: Float32Array, confidence: Float32Array, seen: boolean}} Points of one picture */

const FILES = new URL("../vendor/holistic/", import.meta.url).href;
/** The first picture takes up to 20 s where WebGL is emulated; past this, nothing comes any more. */
const SILENCE_MS = 60000;

export class Estimator {
  /**
   * Start an estimator.
   *
   * @param {Delegate} delegate
   * @returns {Promise<Estimator>}
   * @throws {PageError} this browser cannot run it.
   */
  static async start(delegate) {
    const estimator = new Estimator(delegate);
    await estimator._ask({ type: "start", files: FILES, useCpu: delegate === "cpu", settings: SETTINGS });
    return estimator;
  }

  /** @param {Delegate} delegate */
  constructor(delegate) {
    this.delegate = delegate;
    this.closed = false;
    this._number = 0;
    try {
      this._worker = new Worker(new URL("worker.js", import.meta.url));
    } catch (error) {
      throw new PageError("estimator_failed", { reason: String(error) });
    }
  }

  /**
   * Estimate the points of the next picture.
   *
   * @param {ImageBitmap} picture is gone afterwards.
   * @param {number} at_ms time of the picture within its clip
   * @returns {Promise<Points>}
   * @throws {PageError} the estimator broke; it must not be used again.
   */
  async estimate(picture, at_ms) {
    return this._ask({ type: "frame", number: this._number++, picture, at: at_ms }, [picture]);
  }

  /** Forget every picture seen so far. */
  async reset() {
    await this._ask({ type: "reset" });
  }

  close() {
    this.closed = true;
    this._worker.terminate();
  }

  /**
   * @param {Record<string, unknown>} message
   * @param {Transferable[]} [transfer]
   * @returns {Promise<any>}
   */
  _ask(message, transfer = []) {
    return new Promise((resolve, reject) => {
      /** @param {string} reason */
      const fail = (reason) => {
        this.close();
        // The sentence around it has the full stop.
        reject(new PageError("estimator_failed", { reason: reason.replace(/\.+$/, "") }));
      };
      const timer = setTimeout(() => fail(`no answer for ${SILENCE_MS / 1000} s`), SILENCE_MS);
      this._worker.onmessage = ({ data }) => {
        clearTimeout(timer);
        if (data.type === "failed") fail(data.reason);
        else resolve(data);
      };
      this._worker.onerror = (event) => {
        event.preventDefault();
        clearTimeout(timer);
        fail(event.message || "its files did not load");
      };
      this._worker.postMessage(message, transfer);
    });
  }
}
