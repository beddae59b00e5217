// @ts-check
/** Estimates the pose in a clip, in this browser. */

import { hasGraphicsCard, keepFaster, TIMED_PICTURES } from "./delegates.js";
import { Estimator } from "./estimator.js";
import { openVideo } from "./frames.js";

/** @typedef {import("./frames.js").Frames} Frames */
/** @typedef {import("./estimator.js").Points} Points */
/** @typedef {import("./delegates.js").Runner} Runner */
/**
 * @typedef {object} Progress
 * @property {"loading" | "reading" | "estimating"} step
 * @property {number} done pictures
 * @property {number} total pictures; 0 while they are not counted
 * @property {number} framesPerSecond 0 while it is not known
 */
/**
 * @typedef {object} Options
 * @property {string} name for messages
 * @property {AbortSignal} signal
 * @property {(progress: Progress) => void} onProgress
 */
/** @typedef {{data: Float32Array, confidence: Float32Array, width: number, height: number, fps: number, delegate: string}} Estimate */

/**
 * The service's estimator counts in these steps, whatever a video's rate is (mediapipe/python/solution_base.py), and so did what
 * made the models' training data. The same steps smooth in the same way.
 */
const STEP_MS = 33.333;
/** The estimator that was kept, and whether the faster one has been found out. @type {{estimator: Estimator | null, isChosen: boolean}} */
const kept = { estimator: null, isChosen: false };
/** One clip after the other: an estimator follows one person through one clip. @type {Promise<unknown>} */
let queue = Promise.resolve();

/**
 * Estimate the pose of the person in a clip.
 *
 * @param {Blob | Frames} source a video, or pictures that were taken already.
 * @param {Options} options
 * @returns {Promise<Estimate>} data: frames × 576 × 3; confidence: frames × 576
 * @throws {import("../context.js").PageError} the video cannot be read, or the estimator does not run here.
 * @throws {DOMException} AbortError: it was cancelled.
 */
export function estimate(source, options) {
  const result = queue.then(() => run(source, options));
  queue = result.catch(() => {});
  return result;
}

/**
 * @param {Blob | Frames} source
 * @param {Options} options
 * @returns {Promise<Estimate>}
 */
async function run(source, { name, signal, onProgress }) {
  signal.throwIfAborted();
  onProgress({ step: "loading", done: 0, total: 0, framesPerSecond: 0 });
  const estimator = await takeEstimator();
  signal.throwIfAborted();
  if (source instanceof Blob) onProgress({ step: "reading", done: 0, total: 0, framesPerSecond: 0 });
  const frames = source instanceof Blob ? await openVideo(source, { name, signal }) : source;
  const clip = new Run(frames, estimator, onProgress);
  try {
    const points = await clip.estimateAll(signal);
    return { ...join(points), width: frames.width, height: frames.height, fps: frames.fps, delegate: clip.runner.delegate };
  } finally {
    kept.estimator = clip.runner instanceof Estimator && !clip.runner.closed ? clip.runner : null;
  }
}

/** @returns {Promise<Estimator>} fresh or reset. */
async function takeEstimator() {
  if (kept.estimator) await kept.estimator.reset();
  kept.estimator ??= await Estimator.start("cpu");
  return kept.estimator;
}

/** The estimation of one clip. */
class Run {
  /**
   * @param {Frames} frames
   * @param {Runner} runner
   * @param {(progress: Progress) => void} onProgress
   */
  constructor(frames, runner, onProgress) {
    this.frames = frames;
    this.runner = runner;
    this._onProgress = onProgress;
    /** @type {Points[]} */
    this._points = [];
    /** @type {ImageBitmap[]} */
    this._copies = [];
    this._started = 0;
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<Points[]>}
   */
  async estimateAll(signal) {
    const isTrial = !kept.isChosen && hasGraphicsCard();
    for await (const picture of readAhead(this.frames.pictures)) {
      if (signal.aborted) {
        picture.close();
        continue; // every picture is closed
      }
      if (isTrial && this._points.length < TIMED_PICTURES) this._copies.push(await createImageBitmap(picture));
      this._points.push(await this.runner.estimate(picture, findTime_ms(this._points.length)));
      if (this._points.length === 1) this._started = performance.now();
      if (isTrial && this._points.length === TIMED_PICTURES) await this._try();
      this._report();
    }
    for (const copy of this._copies) copy.close();
    signal.throwIfAborted();
    return this._points;
  }

  async _try() {
    const first_ms = performance.now() - this._started;
    const chosen = await keepFaster({
      first: this.runner,
      first_ms,
      found: this._points,
      pictures: this._copies,
      startSecond: () => Estimator.start("webgl"),
      findTime_ms,
    });
    this.runner = chosen.runner;
    this._points = chosen.found;
    this._copies = [];
    kept.isChosen = true;
    this._started = performance.now() - first_ms;
  }

  _report() {
    const done = this._points.length;
    const seconds = (performance.now() - this._started) / 1000;
    const framesPerSecond = done > 1 && seconds > 0 ? (done - 1) / seconds : 0;
    this._onProgress({ step: "estimating", done, total: this.frames.total, framesPerSecond });
  }
}

/**
 * Find the time that a picture has for the estimator. Without one, smoothing would follow the wall clock, and a slow machine would
 * get other points than a fast one.
 *
 * @param {number} number of the picture in its clip
 */
function findTime_ms(number) {
  return (number + 1) * STEP_MS;
}

/**
 * Read the next picture while the one before is looked at.
 *
 * @template T
 * @param {Iterable<T> | AsyncIterable<T>} items
 * @returns {AsyncGenerator<T>}
 */
async function* readAhead(items) {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let next = Promise.resolve(iterator.next());
  try {
    for (let item = await next; !item.done; item = await next) {
      next = Promise.resolve(iterator.next());
      next.catch(() => {}); // it is awaited in the next round
      yield item.value;
    }
  } finally {
    await next.catch(() => {});
    await iterator.return?.();
  }
}

/** @param {Points[]} points */
function join(points) {
  const data = new Float32Array(points.reduce((sum, { data: part }) => sum + part.length, 0));
  const confidence = new Float32Array(points.reduce((sum, { confidence: part }) => sum + part.length, 0));
  let at = 0;
  for (const frame of points) {
    data.set(frame.data, at * frame.data.length);
    confidence.set(frame.confidence, at * frame.confidence.length);
    at++;
  }
  return { data, confidence };
}
