// @ts-check
/**
 * Writes the .pose file of points that were estimated in the page, as the service writes it for a video.
 *
 * Layout and limbs come from `holistic_header.bin`, which `python -m checks.pose_header` makes of the service's own code. So
 * a pose of the page and a pose of the service have one header, to the byte.
 */

/**
 * The components of MediaPipe Holistic in the order in which a frame holds their points.
 *
 * @type {ReadonlyArray<readonly [string, number]>}
 */
export const LAYOUT = [
  ["POSE_LANDMARKS", 33],
  ["FACE_LANDMARKS", 468],
  ["LEFT_HAND_LANDMARKS", 21],
  ["RIGHT_HAND_LANDMARKS", 21],
  ["POSE_WORLD_LANDMARKS", 33],
];
export const POINTS = LAYOUT.reduce((sum, [, points]) => sum + points, 0);
export const DIMS = 3;

const WIDTH_OFFSET = 4; // after the version, a float
const SIZES_BYTES = 10; // frames per second, frames, people
const FLOAT_BYTES = 4;
/** The format keeps width and height in 16 bits. */
const MAX_SIDE = 65535;

/** @type {Promise<Uint8Array> | null} */
let header = null;

/**
 * Write a .pose file of version 0.2 with one person.
 *
 * @param {object} pose
 * @param {number} pose.width  pixels of the picture
 * @param {number} pose.height
 * @param {number} pose.fps
 * @param {Float32Array} pose.data  frames × 576 × 3, in the order of LAYOUT; x and y in pixels; 0 where not seen
 * @param {Float32Array} pose.confidence  frames × 576, 0 where not seen
 * @returns {Promise<Uint8Array>}
 * @throws {RangeError} the arrays do not fit together, or the picture has no size
 */
export async function writePose({ width, height, fps, data, confidence }) {
  const frames = confidence.length / POINTS;
  if (!frames || !Number.isInteger(frames) || data.length !== confidence.length * DIMS) {
    throw new RangeError(`${data.length} coordinates and ${confidence.length} confidences are no frames of ${POINTS} points`);
  }
  for (const side of [width, height]) {
    if (!Number.isInteger(side) || side < 1 || side > MAX_SIDE) throw new RangeError(`${width} × ${height} is no size of a picture`);
  }
  header ??= fetchHeader();
  const start = await header;
  const bytes = new Uint8Array(start.length + SIZES_BYTES + (data.length + confidence.length) * FLOAT_BYTES);
  bytes.set(start);
  const view = new DataView(bytes.buffer);
  view.setUint16(WIDTH_OFFSET, width, true);
  view.setUint16(WIDTH_OFFSET + 2, height, true);
  view.setFloat32(start.length, fps, true);
  view.setUint32(start.length + 4, frames, true);
  view.setUint16(start.length + 8, 1, true);
  const body = start.length + SIZES_BYTES;
  bytes.set(encodeFloats(data), body);
  bytes.set(encodeFloats(confidence), body + data.length * FLOAT_BYTES);
  return bytes;
}

/** @returns {Promise<Uint8Array>} */
async function fetchHeader() {
  try {
    const answer = await fetch(new URL("holistic_header.bin", import.meta.url));
    if (!answer.ok) throw new Error(`holistic_header.bin: ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    header = null; // the next pose tries again
    throw error;
  }
}

/**
 * Encode numbers as little-endian bytes, on any machine.
 *
 * @param {Float32Array} values
 */
function encodeFloats(values) {
  const view = new DataView(new ArrayBuffer(values.length * FLOAT_BYTES));
  values.forEach((value, index) => view.setFloat32(index * FLOAT_BYTES, value, true));
  return new Uint8Array(view.buffer);
}
