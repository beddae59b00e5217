// @ts-check
/** Joins the clips of the session to one recording, so that there is something to search without a camera. */

import { element } from "../dom.js";
import { joinPoses } from "../pose/joining.js";

/** @typedef {import("../context.js").Context} Context */

/**
 * What was joined is not joined again.
 *
 * @type {WeakSet<import("../session.js").Clip>}
 */
const recordings = new WeakSet();

/**
 * Create the button; it is hidden while there are fewer than two clips.
 *
 * @param {Context} context
 * @returns {HTMLElement}
 */
export function createJoiner({ session, t, signal, showError }) {
  const problem = element("div");
  const button = element("button", { type: "button", class: "quiet" });
  button.addEventListener("click", () => {
    problem.replaceChildren();
    const clips = listJoinable();
    try {
      const pose = joinPoses(clips.map((clip) => clip.pose));
      const extractor = clips.every((clip) => clip.extractor === clips[0].extractor) ? clips[0].extractor : "file";
      const recording = session.add({ name: t("spot.joined", { count: clips.length }), origin: "pose", pose, video: null, extractor });
      recordings.add(recording);
      show();
    } catch (error) {
      showError(error, problem);
    }
  });
  const listJoinable = () => session.clips.filter((clip) => !recordings.has(clip));
  const place = element("div", { class: "stack" }, button, problem);
  const show = () => {
    const count = listJoinable().length;
    place.hidden = count < 2;
    button.textContent = t("spot.join", { count });
  };
  const listen = (/** @type {Event} */ event) => /** @type {any} */ (event).what === "clips" && show();
  session.addEventListener("change", listen, { signal });
  show();
  return place;
}
