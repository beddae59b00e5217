// @ts-check
/** Makes one recording of several clips, one after the other, as if somebody had signed them in a row. */

import { PoseError } from "./errors.js";
import { readPose } from "./reader.js";

/** @typedef {import("./reader.js").Pose} Pose */

const FLOAT_BYTES = 4;
/** Frames per second, frames and people of version 0.2. */
const SIZES_BYTES = 10;
/** Of one clip at the rate of another: an hour of video. A rate of nearly 0 would make one clip of any length. */
const MAX_FRAMES = 108000;

/**
 * Join clips of one layout. The recording has the header and the rate of the first one. Clips of other rates take as long in
 * it as they took, because frames of theirs are repeated or left out.
 *
 * @param {Uint8Array[]} clips  .pose files of version 0.2 with one person
 * @returns {Uint8Array}
 * @throws {PoseError} there are none, or they do not fit together
 */
export function joinPoses(clips) {
  const poses = clips.map(readPose);
  if (!poses.length) throw new PoseError("empty");
  const [first] = poses;
  if (!poses.every((pose) => pose.version === 0.2 && pose.people === 1 && isAlike(pose, first))) throw new PoseError("layouts_differ");
  const chosen = poses.map((pose) => chooseFrames(pose, first.fps));
  const frames = chosen.reduce((sum, places) => sum + places.length, 0);
  const header = clips[0].slice(0, clips[0].length - countBody(first) - SIZES_BYTES);
  const joined = new Uint8Array(header.length + SIZES_BYTES + (frames * countBody(first)) / first.frames);
  const view = new DataView(joined.buffer);
  joined.set(header);
  view.setFloat32(header.length, first.fps, true);
  view.setUint32(header.length + 4, frames, true);
  view.setUint16(header.length + 8, 1, true);
  let offset = header.length + SIZES_BYTES;
  // All coordinates come first, then all confidences.
  for (const isConfidence of [false, true]) {
    clips.forEach((clip, place) => {
      const part = cutBody(clip, poses[place], isConfidence);
      const size = part.length / poses[place].frames;
      for (const frame of chosen[place]) {
        joined.set(part.subarray(frame * size, (frame + 1) * size), offset);
        offset += size;
      }
    });
  }
  return joined;
}

/**
 * Choose the frames that show a clip at another rate: of each new frame, the one that was seen in its middle.
 *
 * @param {Pose} pose
 * @param {number} fps
 * @returns {number[]}
 */
function chooseFrames(pose, fps) {
  const { frames } = pose;
  // Also clips that say no rate, all of them.
  if (Object.is(pose.fps, fps)) return Array.from({ length: frames }, (_, frame) => frame);
  const ratio = pose.fps / fps;
  if (!(ratio > 0) || !Number.isFinite(ratio) || frames / ratio > MAX_FRAMES) throw new PoseError("rates_differ");
  const length = Math.max(1, Math.round(frames / ratio));
  return Array.from({ length }, (_, place) => Math.min(frames - 1, Math.floor((place + 0.5) * ratio)));
}

/** @param {Pose} pose @param {Pose} first */
function isAlike(pose, first) {
  const describe = (/** @type {Pose} */ one) => JSON.stringify([one.dims, one.components.map(({ name, points }) => [name, points])]);
  return describe(pose) === describe(first);
}

/** @param {Pose} pose */
function countBody({ data, confidence }) {
  return (data.length + confidence.length) * FLOAT_BYTES;
}

/** @param {Uint8Array} clip @param {Pose} pose @param {boolean} isConfidence */
function cutBody(clip, pose, isConfidence) {
  const middle = clip.length - pose.confidence.length * FLOAT_BYTES;
  return isConfidence ? clip.subarray(middle) : clip.subarray(clip.length - countBody(pose), middle);
}
