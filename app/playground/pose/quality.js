// @ts-check
/**
 * What a pose holds, and what about it will not embed well. It is measured in the page, so that a person knows it before
 * anything is sent. The rules are those of the service's own report, poses/quality.py.
 */

import { writeNumber } from "../numbers.js";
import { findParts, findSeen, PART_NAMES } from "./parts.js";

/** @typedef {import("./reader.js").Pose} Pose */
/** @typedef {import("./parts.js").PartName} PartName */
/** @typedef {import("../strings.js").Translate} Translate */

/**
 * @typedef {object} Quality
 * @property {number} frames
 * @property {number} fps
 * @property {number | null} duration_s  null where fps is no rate
 * @property {number} people
 * @property {Record<PartName, number | null>} shares  of the frames in which a part is seen, 0 to 1; null: not in the layout
 * @property {Record<PartName, boolean[] | null>} seen  frame by frame
 * @property {[string, Record<string, number>][]} warnings  ends of keys of strings.js, `quality.…`, and what they name
 */

/** Under this share of frames a hand counts as rarely seen. Source: poses/quality.py. */
const RARELY_SEEN = 0.3;
/** Frames per second between which models saw clips. Source: poses/quality.py. */
const [LOWEST_FPS, HIGHEST_FPS] = [12, 60];

/**
 * Measure a pose.
 *
 * @param {Pose} pose
 * @returns {Quality}
 */
export function measureQuality(pose) {
  const parts = findParts(pose);
  const seen = /** @type {Record<PartName, boolean[] | null>} */ ({});
  const shares = /** @type {Record<PartName, number | null>} */ ({});
  for (const part of PART_NAMES) {
    const frames = findSeen(pose, part, parts);
    seen[part] = frames;
    shares[part] = frames && frames.filter(Boolean).length / frames.length;
  }
  const isRate = Number.isFinite(pose.fps) && pose.fps > 0;
  const warnings = [...findClipWarnings(pose, isRate), ...findHandWarnings(pose, shares, parts.right_hand), ...findShoulderWarnings(shares)];
  return { frames: pose.frames, fps: pose.fps, duration_s: isRate ? pose.frames / pose.fps : null, people: pose.people, shares, seen, warnings };
}

/**
 * Write the report as sentences, the summary first.
 *
 * @param {Quality} quality
 * @param {Translate} t
 * @returns {{summary: string, warnings: string[]}}
 */
export function describeQuality(quality, t) {
  const { frames, duration_s } = quality;
  const summary =
    duration_s === null
      ? t("quality.summary_no_rate", { frames })
      : t("quality.summary", { frames, seconds: writeNumber(duration_s, t.language, 1), fps: Math.round(quality.fps * 10) / 10 });
  return { summary, warnings: quality.warnings.map(([code, values]) => t(`quality.${code}`, values)) };
}

/**
 * @param {Pose} pose
 * @param {boolean} isRate
 * @returns {Quality["warnings"]}
 */
function findClipWarnings(pose, isRate) {
  /** @type {Quality["warnings"]} */
  const warnings = [];
  if (pose.people > 1) warnings.push(["several_people", { people: pose.people }]);
  if (pose.frames === 1) warnings.push(["single_frame", {}]);
  if (!isRate) warnings.push(["no_rate", {}]);
  else if (pose.fps <= LOWEST_FPS || pose.fps >= HIGHEST_FPS) warnings.push(["odd_rate", { fps: Math.round(pose.fps * 10) / 10 }]);
  return warnings;
}

/**
 * Models expect the right hand to sign. A sign may need only one hand, so a missing left hand is no fault.
 *
 * @param {Pose} pose
 * @param {Quality["shares"]} shares
 * @param {number[]} places  of the right hand
 * @returns {Quality["warnings"]}
 */
function findHandWarnings(pose, shares, places) {
  const { right_hand: right, left_hand: left } = shares;
  if (right === null) return [[left === null ? "no_hands_in_layout" : "no_right_hand_in_layout", {}]];
  if (right === 0) return [[left ? "no_right_hand" : "no_hand", {}]];
  if (right < RARELY_SEEN) return [["right_hand_rare", { percent: Math.max(1, Math.round(100 * right)) }]];
  return pose.frames > 1 && neverMoves(pose, places) ? [["right_hand_still", {}]] : [];
}

/**
 * @param {Quality["shares"]} shares
 * @returns {Quality["warnings"]}
 */
function findShoulderWarnings({ shoulders }) {
  if (shoulders === null) return [["no_shoulders_in_layout", {}]];
  if (shoulders === 0) return [["no_shoulders", {}]];
  return shoulders < 1 ? [["shoulders_missing", { percent: Math.max(1, Math.round(100 * (1 - shoulders))) }]] : [];
}

/**
 * Whether points are in one place in all frames, as they are stored.
 *
 * @param {Pose} pose
 * @param {number[]} places
 */
function neverMoves(pose, places) {
  const size = pose.points * pose.dims;
  for (let frame = 1; frame < pose.frames; frame++) {
    for (const place of places) {
      for (let dim = place * pose.dims; dim < (place + 1) * pose.dims; dim++) {
        if (pose.data[frame * size + dim] !== pose.data[dim]) return false;
      }
    }
  }
  return true;
}
