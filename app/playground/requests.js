// @ts-check
/**
 * A request to the service as a value: the page sends it, and snippets.js shows it. Both read the same value, so that what
 * a person copies is what the page sent.
 */

import { BROWSER_EXTRACTOR } from "./estimation/extractor.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./session.js").Clip} Clip */
/** @typedef {string | number | boolean | string[] | null | undefined} Value  a list is sent as one field for each item */

/**
 * @typedef {object} ServiceRequest
 * @property {"POST" | "PUT"} method
 * @property {string} path  as "/api/similarity"
 * @property {[string, string][]} fields  of the form, or of the query where the clip is the whole body
 * @property {Clip | null} clip  sent as a file
 * @property {"form" | "raw" | "json"} kind  how clip and fields are sent
 * @property {unknown} json  the body of kind "json"
 */

/**
 * A form with a clip as its file.
 *
 * @param {string} path
 * @param {Clip} clip
 * @param {Record<string, Value>} fields  null and undefined are left out
 * @returns {ServiceRequest}
 */
export function formRequest(path, clip, fields = {}) {
  return { method: "POST", path, clip, kind: "form", fields: [...listExtractor(clip), ...listFields(fields)], json: null };
}

/**
 * A clip as the whole body, with the options in the query.
 *
 * @param {string} path
 * @param {Clip} clip
 * @param {Record<string, Value>} fields  null and undefined are left out
 * @returns {ServiceRequest}
 */
export function rawRequest(path, clip, fields = {}) {
  return { method: "POST", path, clip, kind: "raw", fields: [...listExtractor(clip), ...listFields(fields)], json: null };
}

/**
 * A body of JSON.
 *
 * @param {string} path
 * @param {Record<string, unknown>} json  null and undefined are left out
 * @param {"POST" | "PUT"} [method]
 * @returns {ServiceRequest}
 */
export function jsonRequest(path, json, method = "POST") {
  const kept = Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null && value !== undefined));
  return { method, path, clip: null, kind: "json", fields: [], json: kept };
}

/**
 * Send a request.
 *
 * @param {Api} api
 * @param {ServiceRequest} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>} the answer's JSON
 * @throws {import("./api.js").ApiError} the service refuses, or does not answer
 */
export function send(api, request, signal) {
  const { method, clip, kind, fields, json } = request;
  const path = writePath(request);
  const options = signal ? { method, signal } : { method };
  if (kind === "json" || clip === null) return api.call(path, { ...options, json });
  const file = new Blob([/** @type {BlobPart} */ (clip.pose)], { type: "application/octet-stream" });
  if (kind === "raw") return api.call(path, { ...options, body: file });
  const form = new FormData();
  form.append("pose", file, nameFile(clip));
  for (const [name, value] of fields) form.append(name, value);
  return api.call(path, { ...options, form });
}

/**
 * Write the path of a request, with its query.
 *
 * @param {ServiceRequest} request
 */
export function writePath({ path, kind, fields }) {
  return kind === "raw" && fields.length ? `${path}?${new URLSearchParams(fields)}` : path;
}

/**
 * Name the file of a clip, with letters that every shell and every system takes as they are.
 *
 * @param {Clip} clip
 */
export function nameFile(clip) {
  const plain = clip.name.normalize("NFKD").replace(/\.pose$/i, "").replace(/[^A-Za-z0-9._-]+/g, "_");
  return `${plain.replace(/^[._-]+|[._]+$/g, "") || "clip"}.pose`;
}

/** @param {Clip} clip @returns {[string, string][]} */
function listExtractor(clip) {
  return clip.extractor === "browser" ? [["extractor", BROWSER_EXTRACTOR]] : [];
}

/** @param {Record<string, Value>} fields @returns {[string, string][]} */
function listFields(fields) {
  return Object.entries(fields)
    .filter(([, value]) => value !== null && value !== undefined)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => /** @type {[string, string]} */ ([name, String(one)])));
}
