// @ts-check
/**
 * Bytes of a .pose file in, a checked pose out: versions 0.1 and 0.2 of the format.
 *
 * What a file claims is compared with its length before anything is allocated.
 * Format: https://github.com/sign-language-processing/pose/blob/master/docs/specs/v0.2.md
 */

import { collect } from "../streams.js";
import { PoseError } from "./errors.js";

/**
 * @typedef {object} Component
 * @property {string} name
 * @property {string[]} points  their names
 * @property {[number, number][]} limbs  pairs of points, counted within the component
 * @property {[number, number, number][]} colors  red, green and blue, 0 to 255
 * @property {number} start  place of its first point among all points
 */

/**
 * One person's pose. Coordinate `d` of point `p` in frame `f` is `data[(f * points + p) * dims + d]`, its confidence
 * `confidence[f * points + p]`; a point with confidence 0 was not seen.
 *
 * @typedef {object} Pose
 * @property {number} version
 * @property {number} width  pixels of the picture
 * @property {number} height
 * @property {number} fps
 * @property {number} frames
 * @property {number} people  in the file; the data are the first one's
 * @property {number} points  of all components together
 * @property {number} dims  coordinates of a point
 * @property {Component[]} components
 * @property {Float32Array} data  frames × points × dims
 * @property {Float32Array} confidence  frames × points
 */

/** Of the service, so that the page opens no file that the service then refuses. */
const MAX_BYTES = 64 * 1024 * 1024;
const FLOAT_BYTES = 4;
/** Version 0.1 counts frames in 16 bits, and counts on from 0 in longer clips. */
const FRAMES_OF_0_1 = 65536;

/**
 * Read a .pose file that is not packed.
 *
 * @param {Uint8Array} bytes
 * @returns {Pose}
 * @throws {PoseError} the bytes are no .pose file, or a damaged one
 */
export function readPose(bytes) {
  if (bytes.length > MAX_BYTES) throw new PoseError("too_large", { bytes: bytes.length, limit: MAX_BYTES });
  const cursor = new Cursor(bytes);
  const version = readVersion(cursor);
  const [width, height] = [cursor.ushort(), cursor.ushort()];
  cursor.ushort(); // the depth, which estimators of pictures leave at 0
  const components = readComponents(cursor);
  const points = components.reduce((sum, component) => sum + component.points.length, 0);
  const dims = components[0].dims;
  if (!points) throw new PoseError("no_points");
  const sizes = readSizes(cursor, version, points, dims);
  const { data, confidence } = readBody(cursor, sizes, points, dims);
  return { version, width, height, ...sizes, points, dims, components, data, confidence };
}

/**
 * Unpack a file that was packed with gzip or zstd; other bytes come back as they are.
 *
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array>}
 * @throws {PoseError} they are damaged, too large, or of a packing that this browser does not know
 */
export async function unpackPose(bytes) {
  const packing = findPacking(bytes);
  if (packing === null) return bytes;
  let stream;
  try {
    stream = new DecompressionStream(/** @type {CompressionFormat} */ (packing));
  } catch {
    throw new PoseError("packing_unknown", { packing });
  }
  try {
    const unpacked = new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(stream);
    return await collect(unpacked, MAX_BYTES, (size) => new PoseError("too_large", { bytes: size, limit: MAX_BYTES }));
  } catch (error) {
    throw error instanceof PoseError ? error : new PoseError("packing_damaged", { packing });
  }
}

/** @param {Uint8Array} bytes */
function findPacking(bytes) {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return "gzip";
  return bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd ? "zstd" : null;
}

/** @param {Cursor} cursor */
function readVersion(cursor) {
  const version = cursor.left < FLOAT_BYTES ? NaN : Math.round(cursor.float() * 1000) / 1000;
  if (version === 0.1 || version === 0.2) return version;
  // Later versions will be as round as these; other bytes are rarely a round number.
  const isRound = version >= 0.01 && version < 10;
  throw isRound ? new PoseError("version_unknown", { version }) : new PoseError("not_a_pose");
}

/**
 * @param {Cursor} cursor
 * @returns {(Component & {dims: number})[]}
 */
function readComponents(cursor) {
  const count = cursor.ushort();
  if (!count) throw new PoseError("no_points");
  const components = [];
  for (let start = 0, number = 0; number < count; number++) {
    const component = readComponent(cursor, start);
    if (components.length && component.dims !== components[0].dims) throw new PoseError("formats_differ");
    start += component.points.length;
    components.push(component);
  }
  return components;
}

/**
 * @param {Cursor} cursor
 * @param {number} start
 * @returns {Component & {dims: number}}
 */
function readComponent(cursor, start) {
  const name = cursor.text();
  const format = cursor.text();
  if (format.length < 2 || !format.endsWith("C")) throw new PoseError("format_unknown", { name, format });
  const [pointCount, limbCount, colorCount] = [cursor.ushort(), cursor.ushort(), cursor.ushort()];
  const points = Array.from({ length: pointCount }, () => cursor.text());
  const limbs = Array.from({ length: limbCount }, () => /** @type {[number, number]} */ ([cursor.ushort(), cursor.ushort()]));
  if (limbs.some((limb) => Math.max(...limb) >= pointCount)) throw new PoseError("limb_ends_nowhere", { name });
  const colors = Array.from(
    { length: colorCount },
    () => /** @type {[number, number, number]} */ ([cursor.ushort(), cursor.ushort(), cursor.ushort()]),
  );
  return { name, points, limbs, colors, start, dims: format.length - 1 };
}

/**
 * @param {Cursor} cursor
 * @param {number} version
 * @param {number} points
 * @param {number} dims
 */
function readSizes(cursor, version, points, dims) {
  const fps = version === 0.1 ? cursor.ushort() : cursor.float();
  let frames = version === 0.1 ? cursor.ushort() : cursor.uint();
  const people = cursor.ushort();
  const frameBytes = people * points * (dims + 1) * FLOAT_BYTES;
  const held = frameBytes ? Math.floor(cursor.left / frameBytes) : 0;
  if (version === 0.1 && frames < held) frames += Math.floor((held - frames) / FRAMES_OF_0_1) * FRAMES_OF_0_1;
  if (!people || (!frames && !cursor.left)) throw new PoseError("empty");
  const expected = frames * frameBytes;
  if (cursor.left !== expected) {
    throw new PoseError(cursor.left < expected ? "truncated" : "trailing_bytes", { expected, left: cursor.left });
  }
  return { fps, frames, people };
}

/**
 * @param {Cursor} cursor
 * @param {{frames: number, people: number}} sizes
 * @param {number} points
 * @param {number} dims
 */
function readBody(cursor, { frames, people }, points, dims) {
  const values = cursor.floats(frames * people * points * dims);
  const allConfidence = cursor.floats(frames * people * points);
  const data = takeFirst(values, frames, people, points * dims);
  const confidence = takeFirst(allConfidence, frames, people, points);
  // A point that is no number was not seen, whatever its confidence says.
  for (let point = 0; point < confidence.length; point++) {
    let sum = confidence[point];
    for (let dim = 0; dim < dims; dim++) sum += data[point * dims + dim];
    if (Number.isFinite(sum)) continue;
    data.fill(0, point * dims, (point + 1) * dims);
    confidence[point] = 0;
  }
  return { data, confidence };
}

/**
 * Take the first person's numbers of each frame.
 *
 * @param {Float32Array} values
 * @param {number} frames
 * @param {number} people
 * @param {number} size  numbers of one person in one frame
 */
function takeFirst(values, frames, people, size) {
  if (people === 1) return values;
  const taken = new Float32Array(frames * size);
  for (let frame = 0; frame < frames; frame++) {
    const start = frame * people * size;
    taken.set(values.subarray(start, start + size), frame * size);
  }
  return taken;
}

/** Reads little-endian numbers front to back, never past the end. */
class Cursor {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = 0;
  }

  get left() {
    return this.bytes.length - this.offset;
  }

  /** @param {number} size */
  take(size) {
    if (size > this.left) throw new PoseError("truncated", { expected: size, left: this.left });
    this.offset += size;
    return this.offset - size;
  }

  ushort() {
    return this.view.getUint16(this.take(2), true);
  }

  uint() {
    return this.view.getUint32(this.take(4), true);
  }

  float() {
    return this.view.getFloat32(this.take(FLOAT_BYTES), true);
  }

  text() {
    const size = this.ushort();
    const start = this.take(size);
    return new TextDecoder().decode(this.bytes.subarray(start, start + size));
  }

  /** @param {number} count */
  floats(count) {
    const start = this.take(count * FLOAT_BYTES);
    // A copy, because an array of numbers must start at a multiple of their size.
    return new Float32Array(this.bytes.slice(start, start + count * FLOAT_BYTES).buffer);
  }
}
