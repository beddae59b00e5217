// @ts-check
/** Finds out what the service can do. */

import { ApiError } from "./api.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./context.js").Features} Features */

/** Between two questions whether the service is ready. */
const PAUSE_MS = 1500;

/**
 * Ask what the service can do. What it does not answer is taken as missing.
 *
 * @param {Api} api
 * @param {DOMStringMap} page what the service wrote into the page: data-estimator and data-keys.
 * @returns {Promise<Features>}
 * @throws {ApiError} the key is missing or wrong.
 */
export async function readFeatures(api, page) {
  const [models, languages] = await Promise.all([ask(api, "/api/models"), ask(api, "/api/languages")]);
  return {
    ready: true,
    defaultModel: models?.default ?? "",
    models: models?.models ?? [],
    languages: languages?.languages ?? [],
    collections: false,
    writable: false,
    needsKey: page.keys === "needed",
    estimator: page.estimator === "installed",
  };
}

/**
 * Ask whether the service has collections. The first question of a service's life opens its store, which takes seconds: the page
 * does not wait for it.
 *
 * @param {Api} api
 * @param {Features} features in which the answer is written.
 */
export async function readCollections(api, features) {
  const answer = await ask(api, "/api/collections");
  features.collections = (answer?.collections ?? []).length > 0;
  features.writable = answer !== null;
}

/**
 * Wait until the default model is ready.
 *
 * @param {Api} api
 * @param {(state: {ready: boolean, reason: string}) => void} onState called after each question.
 * @param {AbortSignal} signal
 */
export async function waitUntilReady(api, onState, signal) {
  while (!signal.aborted) {
    const state = await api.ready();
    if (signal.aborted) return;
    onState(state);
    if (state.ready) return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/**
 * @param {Api} api
 * @param {string} path
 */
async function ask(api, path) {
  try {
    return await api.call(path);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) throw error;
    return null;
  }
}
