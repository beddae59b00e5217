// @ts-check
/** Vectors of clips and texts, asked for once as long as the service has the same model. */

import { formRequest, jsonRequest, send } from "../requests.js";
import { decodeBase64 } from "../session.js";

/** @typedef {import("../api.js").Api} Api */
/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../context.js").Features} Features */
/** @typedef {import("../session.js").Clip} Clip */
/** @typedef {{vector: number[], space: string, remarks: any}} Embedded  remarks: the answer, for its warnings */

/** By what the service can do, because another model has other vectors. @type {WeakMap<Features, WeakMap<Clip, Promise<Embedded>>>} */
const kept = new WeakMap();

/**
 * The request for a clip's vector.
 *
 * @param {Clip} clip
 */
export function buildClipRequest(clip) {
  return formRequest("/api/embed/pose", clip);
}

/**
 * Embed a clip.
 *
 * @param {Context} context
 * @param {Clip} clip
 * @returns {Promise<Embedded>}
 */
export function embedClip({ api, features }, clip) {
  const clips = kept.get(features) ?? new WeakMap();
  kept.set(features, clips);
  let found = clips.get(clip);
  if (!found) {
    found = send(api, buildClipRequest(clip)).then((answer) => ({ vector: answer.embeddings[0], space: answer.space, remarks: answer }));
    clips.set(clip, found);
    found.catch(() => clips.delete(clip)); // the next time may go better
  }
  return found;
}

/**
 * The request for the vectors of texts.
 *
 * @param {string[]} texts
 * @param {Record<string, string>} languages
 */
export function buildTextRequest(texts, languages) {
  return jsonRequest("/api/embed/text", { text: texts, ...languages, encoding_format: "base64" });
}

/**
 * Embed texts.
 *
 * @param {Api} api
 * @param {string[]} texts
 * @param {Record<string, string>} languages
 * @param {AbortSignal} [signal]
 * @returns {Promise<{vectors: number[][], space: string}>}
 */
export async function embedTexts(api, texts, languages, signal) {
  const answer = await send(api, buildTextRequest(texts, languages), signal);
  return { vectors: answer.embeddings.map(decodeVector), space: answer.space };
}

/** @param {string} text  base64 of little-endian float32 */
function decodeVector(text) {
  const bytes = decodeBase64(text);
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(index * 4, true));
}
