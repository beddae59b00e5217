// @ts-check
/**
 * Makes a pose that packs small and means the same: points that no model reads are left out, and x and y keep a
 * precision of one part in 2,000. A link can carry it.
 */

import { isFace, isWorld } from "./parts.js";
import { readPose } from "./reader.js";
import { FACE_POINTS } from "./skeleton.js";

/** @typedef {import("./reader.js").Pose} Pose */

const FLOAT_BYTES = 4;
/** Of the 23 bits behind the point of a float32, those that are set to 0; 10 are left: 1 in 2048. */
const CUT_BITS = 13;

/**
 * Thin a .pose file that is not packed. It stays a .pose file of the same layout.
 *
 * @param {Uint8Array} bytes
 * @returns {Uint8Array}
 * @throws {import("./errors.js").PoseError} the bytes are no pose
 */
export function thinPose(bytes) {
  const pose = readPose(bytes);
  if (pose.people !== 1) return bytes;
  const thinned = bytes.slice();
  const view = new DataView(thinned.buffer);
  const confidences = thinned.length - pose.confidence.length * FLOAT_BYTES;
  const values = confidences - pose.data.length * FLOAT_BYTES;
  const isLeftOut = findLeftOut(pose);
  for (let place = 0; place < pose.confidence.length; place++) {
    const isGone = isLeftOut[place % pose.points] || pose.confidence[place] === 0;
    cutNumber(view, confidences + place * FLOAT_BYTES, isGone);
    for (let dim = 0; dim < pose.dims; dim++) {
      // Models scale depths by their spread, which may be far smaller than they are: they stay as they are.
      if (isGone || dim < 2) cutNumber(view, values + (place * pose.dims + dim) * FLOAT_BYTES, isGone);
    }
  }
  return thinned;
}

/**
 * Find the points that no model reads: the body in metres, and the face between its contours.
 *
 * @param {Pose} pose
 * @returns {boolean[]} for each point
 */
function findLeftOut(pose) {
  return pose.components.flatMap(({ name, points }) => points.map((point) => isWorld(name) || (isFace(name) && !FACE_POINTS.has(point))));
}

/**
 * @param {DataView} view
 * @param {number} offset
 * @param {boolean} isGone
 */
function cutNumber(view, offset, isGone) {
  const bits = view.getUint32(offset, true);
  // Rounded to the nearest, so that cutting moves nothing to one side.
  view.setUint32(offset, isGone ? 0 : ((bits + (1 << (CUT_BITS - 1))) >>> CUT_BITS) << CUT_BITS, true);
}
