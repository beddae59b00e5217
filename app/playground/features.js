// @ts-check
/** Finds out what the service can do. */

import { ApiError } from "./api.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./context.js").Features} Features */

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
 * Whether a service that was away can do what it could before. Another model has other vectors, and maybe other languages.
 *
 * @param {Features} before
 * @param {Features} now
 */
export function isSame(before, now) {
  const [one, other] = [before, now].map(({ defaultModel, models, languages }) => {
    const { space, sign_languages, spoken_languages, background } = models.find(({ name }) => name === defaultModel) ?? {};
    return JSON.stringify([defaultModel, space, sign_languages, spoken_languages, background, languages]);
  });
  return one === other;
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
