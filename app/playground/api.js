// @ts-check
/** Asks the service that served this page. No other address is ever asked. */

import { Keep } from "./storage.js";

/** @typedef {import("./strings.js").Translate} Translate */

/** Where the service answers; the page may lie below a prefix of a proxy. */
export const ROOT = new URL("../../", import.meta.url);
const KEY_NAME = "signclip-key";
/** What a key is made of (app/settings.py); no header carries anything else, and `fetch` throws. */
const KEY = /^[!-~]+$/;
/** A service that has not said by then whether it is ready hangs, or its machine is out of reach. */
const READY_WITHIN_MS = 10_000;

/** A refusal of the service, or no answer at all (status 0, code "unreachable"). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, title?: string, detail?: string, errors?: {pointer: string, message: string}[]}} problem
   */
  constructor(status, problem) {
    super(problem.detail || problem.title || `status ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.code = problem.code || "unknown";
    this.title = problem.title || "";
    this.detail = problem.detail || "";
    /** JSON pointer to the item that was wrong; "" where the whole request was. */
    this.item = problem.errors?.[0]?.pointer || "";
  }

  /** Whether the service may be away, because it gave no answer, or one of its own faults. */
  get isOfService() {
    return this.status === 0 || this.status >= 500;
  }

  /**
   * Write what happened and what to do.
   *
   * @param {Translate} t
   * @returns {string}
   */
  sentence(t) {
    const known = t.find(`error.${this.code}`);
    if (known === null) return this.message;
    return this.detail && !known.endsWith(".") ? `${known} ${this.detail}` : known;
  }
}

/** Events: "key" when the key changes, "failed" when a call found no service, or a faulty one. */
export class Api extends EventTarget {
  constructor() {
    super();
    /** Keeps the key as long as the tab lives. */
    this._keep = new Keep("sessionStorage");
  }

  /** The API key; "" for none. */
  get key() {
    return this._keep.get(KEY_NAME) || "";
  }

  /** @param {string} key */
  set key(key) {
    this._keep.set(KEY_NAME, key);
    this.dispatchEvent(new Event("key"));
  }

  /**
   * Ask a route and read its JSON.
   *
   * @param {string} path as "/api/similarity".
   * @param {{method?: string, json?: unknown, form?: FormData, body?: BodyInit, signal?: AbortSignal}} [options]
   * @returns {Promise<any>}
   * @throws {ApiError} the service refuses, or does not answer.
   */
  async call(path, options = {}) {
    const answer = await this.fetch(path, options);
    if (answer.status === 204) return null;
    const text = await this._receive(answer.text());
    try {
      return JSON.parse(text);
    } catch {
      throw new ApiError(answer.status, { code: "answer_unreadable" });
    }
  }

  /**
   * Ask a route; the answer is one that succeeded.
   *
   * @param {string} path
   * @param {{method?: string, json?: unknown, form?: FormData, body?: BodyInit, headers?: Record<string, string>, signal?: AbortSignal}} [options]
   * @returns {Promise<Response>}
   * @throws {ApiError} the service refuses, or does not answer.
   */
  async fetch(path, { method, json, form, body, headers = {}, signal } = {}) {
    const sent = json === undefined ? (form ?? body) : JSON.stringify(json);
    const fields = new Headers(headers);
    // Without a key that can be one, the service answers what is wrong.
    if (KEY.test(this.key)) fields.set("Authorization", `Bearer ${this.key}`);
    if (json !== undefined) fields.set("Content-Type", "application/json");
    else if (form === undefined && body !== undefined && !fields.has("Content-Type")) fields.set("Content-Type", "application/octet-stream");
    const verb = method ?? (sent === undefined ? "GET" : "POST");
    const answer = await this._receive(fetch(this.url(path), { method: verb, body: sent ?? null, headers: fields, signal: signal ?? null }));
    if (!answer.ok) throw this._note(new ApiError(answer.status, await readProblem(answer)));
    return answer;
  }

  /**
   * Fetch a file.
   *
   * @param {string} path
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Blob>}
   * @throws {ApiError} the service refuses, or does not answer.
   */
  async file(path, options = {}) {
    return this._receive((await this.fetch(path, options)).blob());
  }

  /**
   * Make the whole address of a route.
   *
   * @param {string} path
   */
  url(path) {
    return new URL(path.replace(/^\//, ""), ROOT).href;
  }

  /** List the models: {default, models, broken}. */
  models() {
    return this.call("/api/models");
  }

  /**
   * Ask whether the default model is ready.
   *
   * @returns {Promise<{ready: boolean, reason: string, model: string}>} reason: what the service says; "" where it does not answer
   */
  async ready() {
    try {
      const { model } = await this.call("/readyz", { signal: AbortSignal.timeout(READY_WITHIN_MS) });
      return { ready: true, reason: "", model };
    } catch (error) {
      if (error instanceof ApiError) return { ready: false, reason: error.status === 0 ? "" : error.detail, model: "" };
      throw error;
    }
  }

  /**
   * Wait for what comes over the network, which may break at any moment.
   *
   * @template Got
   * @param {Promise<Got>} coming
   * @returns {Promise<Got>}
   * @throws {ApiError} it broke.
   */
  async _receive(coming) {
    try {
      return await coming;
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw this._note(new ApiError(0, { code: "unreachable" }));
    }
  }

  /** @param {ApiError} error */
  _note(error) {
    if (error.isOfService) this.dispatchEvent(new Event("failed"));
    return error;
  }
}

/** @param {Response} answer */
async function readProblem(answer) {
  try {
    const problem = await answer.json();
    if (typeof problem.detail === "string") return problem;
  } catch {
    // A proxy's page, which is no JSON, or no object.
  }
  return { title: `${answer.status} ${answer.statusText}` };
}
