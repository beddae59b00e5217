// @ts-check
/**
 * A session as a link. It stands behind the # of the address, which browsers send to nobody, packed with gzip.
 */

import { decodeBase64, encodeBase64, SessionFileError } from "./session.js";
import { collect } from "./streams.js";

/** @typedef {import("./session.js").Session} Session */

const NAME = "#session=";
/** Chrome's limit of an address is 2 MB, and other browsers' are larger. */
const MOST_CHARS = 2_000_000;
/** A link unpacks to about this at most, because gzip packs poses ten times smaller at best. */
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Write a session into the address of the page.
 *
 * @param {Session} session
 * @param {string} address  of the page
 * @param {(pose: Uint8Array) => Uint8Array} thin  makes poses smaller
 * @returns {Promise<string>}
 * @throws {SessionFileError} the session is too large for a link
 */
export async function writeLink(session, address, thin) {
  const packed = await pump(session.toFile(thin).stream().pipeThrough(new CompressionStream("gzip")));
  const text = encodeBase64(packed).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const link = address.replace(/#.*$/s, "") + NAME + text;
  if (link.length > MOST_CHARS) throw new SessionFileError("session_long_link");
  return link;
}

/**
 * Read the session of an address.
 *
 * @param {string} hash  of the address, with its #
 * @returns {Promise<Blob | null>} what a session's file holds; null where the address has no session
 * @throws {SessionFileError} it is damaged
 */
export async function readLink(hash) {
  if (!hash.startsWith(NAME)) return null;
  try {
    const packed = decodeBase64(hash.slice(NAME.length).replaceAll("-", "+").replaceAll("_", "/"));
    const stream = new Blob([/** @type {BlobPart} */ (packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Blob([/** @type {BlobPart} */ (await pump(stream))], { type: "application/json" });
  } catch {
    throw new SessionFileError("session_damaged");
  }
}

/** @param {ReadableStream<Uint8Array>} stream */
function pump(stream) {
  return collect(stream, MOST_BYTES, () => new SessionFileError("session_too_large"));
}
