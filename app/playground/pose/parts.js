// @ts-check
/** Where the parts of a body are in a pose, whichever estimator it comes from. */

/** @typedef {import("./reader.js").Pose} Pose */
/** @typedef {import("./reader.js").Component} Component */
/** @typedef {"left_hand" | "right_hand" | "face" | "shoulders"} PartName */

/**
 * Places of points among all points of a pose; empty where the layout has no such part.
 *
 * @typedef {Record<PartName, number[]>} Parts
 */

/** @type {ReadonlyArray<PartName>} */
export const PART_NAMES = ["right_hand", "left_hand", "face", "shoulders"];

/**
 * Find the parts of a pose. The names are those of MediaPipe, OpenPose, AlphaPose and COCO.
 *
 * @param {Pose} pose
 * @returns {Parts}
 */
export function findParts(pose) {
  /** @type {Parts} */
  const parts = { left_hand: [], right_hand: [], face: [], shoulders: [] };
  for (const component of pose.components) {
    const side = findHand(component.name);
    if (side) parts[side].push(...listPlaces(component));
    else if (isFace(component.name)) parts.face.push(...listPlaces(component));
    else if (!isWorld(component.name) && !parts.shoulders.length) parts.shoulders = findShoulders(component);
  }
  return parts;
}

/**
 * Find whose hand a component is; null for what is no hand.
 *
 * @param {string} name
 * @returns {"left_hand" | "right_hand" | null}
 */
export function findHand(name) {
  const plain = name.toLowerCase();
  if (!plain.includes("hand")) return null;
  return plain.includes("left") ? "left_hand" : "right_hand";
}

/** @param {string} name */
export function isFace(name) {
  return name.toLowerCase().includes("face");
}

/**
 * Whether a component repeats the body in metres, which no picture shows.
 *
 * @param {string} name
 */
export function isWorld(name) {
  return name.toLowerCase().includes("world");
}

/**
 * Tell in which frames a part is seen: any point of it, or both shoulders.
 *
 * @param {Pose} pose
 * @param {PartName} part
 * @param {Parts} parts
 * @returns {boolean[] | null} null where the layout has no such part
 */
export function findSeen(pose, part, parts) {
  const places = parts[part];
  if (!places.length) return null;
  return Array.from({ length: pose.frames }, (_, frame) => {
    const isSeen = (/** @type {number} */ place) => pose.confidence[frame * pose.points + place] !== 0;
    return part === "shoulders" ? places.every(isSeen) : places.some(isSeen);
  });
}

/** @param {Component} component */
function listPlaces(component) {
  return component.points.map((_, index) => component.start + index);
}

/**
 * @param {Component} component
 * @returns {number[]} the right shoulder and the left one; empty unless both are there
 */
function findShoulders(component) {
  const plain = component.points.map((name) => name.toLowerCase().replaceAll(/[_ ]/g, ""));
  const places = [["rightshoulder", "rshoulder"], ["leftshoulder", "lshoulder"]].map((names) =>
    plain.findIndex((name) => names.includes(name)),
  );
  return places.every((place) => place >= 0) ? places.map((place) => component.start + place) : [];
}
