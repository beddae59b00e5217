// @ts-check
/** Reads a video picture by picture, with its true number of pictures a second, by what the browser plays. */

import { PageError } from "../context.js";

/**
 * @typedef {object} Frames the pictures of a clip in order; who takes a picture closes it.
 * @property {number} fps
 * @property {number} width pixels
 * @property {number} height
 * @property {number} total how many there are
 * @property {Iterable<ImageBitmap> | AsyncIterable<ImageBitmap>} pictures
 */

/** As long as the service takes by default (SIGNCLIP_MAX_VIDEO_S). */
const LONGEST_S = 120;
/** Pictures after which the rate is known, and how long they are waited for. */
const RATE_PICTURES = 12;
const RATE_MS = 4000;
/** Where a browser does not tell the times of pictures: the rate of most sign language recordings. */
const USUAL_FPS = 25;
/** WebM rounds times to milliseconds, so that a rate is found to a percent; cameras and editors use these. */
const COMMON_FPS = [10, 12, 12.5, 15, 24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60000 / 1001, 60];
const COMMON_WITHIN = 0.01;
/** A seek of a healthy video takes 0.1 s on a slow machine. */
const SEEK_MS = 20000;

/**
 * Open a video.
 *
 * @param {Blob} blob
 * @param {{name: string, signal: AbortSignal}} options name: for messages.
 * @returns {Promise<Frames>}
 * @throws {PageError} the browser cannot play it, or it is too long.
 */
export async function openVideo(blob, { name, signal }) {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.preload = "auto";
  const url = URL.createObjectURL(blob);
  const close = () => {
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(url);
  };
  try {
    const loaded = waitFor(video, "loadeddata", signal);
    video.src = url;
    await loaded;
    const duration = await findDuration(video, signal);
    if (!(duration > 0) || !video.videoWidth) throw new PageError("video_unreadable", { name });
    if (duration > LONGEST_S) throw new PageError("video_long", { name, seconds: Math.round(duration), limit: LONGEST_S });
    const fps = await findRate(video, signal);
    const total = Math.max(1, Math.round(duration * fps));
    const pictures = readPictures(video, { fps, total, signal, close });
    return { fps, width: video.videoWidth, height: video.videoHeight, total, pictures };
  } catch (error) {
    close();
    throw error instanceof MediaFault ? new PageError("video_unreadable", { name }) : error;
  }
}

/**
 * @param {HTMLVideoElement} video
 * @param {{fps: number, total: number, signal: AbortSignal, close: () => void}} options
 * @returns {AsyncGenerator<ImageBitmap>}
 */
async function* readPictures(video, { fps, total, signal, close }) {
  try {
    for (let number = 0; number < total; number++) {
      const done = waitFor(video, "seeked", signal);
      // The middle of a picture's time, so that rounding never hits its neighbour.
      video.currentTime = (number + 0.5) / fps;
      await done;
      yield await createImageBitmap(video);
    }
  } finally {
    close();
  }
}

/**
 * Recordings of browsers do not say how long they are until somebody has looked at their end.
 *
 * @param {HTMLVideoElement} video
 * @param {AbortSignal} signal
 */
async function findDuration(video, signal) {
  if (Number.isFinite(video.duration)) return video.duration;
  const done = waitFor(video, "seeked", signal);
  video.currentTime = 1e7;
  await done;
  return Number.isFinite(video.duration) ? video.duration : video.currentTime;
}

/**
 * Find pictures a second by playing the beginning.
 *
 * @param {HTMLVideoElement} video
 * @param {AbortSignal} signal
 * @returns {Promise<number>}
 */
async function findRate(video, signal) {
  if (!("requestVideoFrameCallback" in video)) return USUAL_FPS;
  const done = waitFor(video, "seeked", signal);
  video.currentTime = 0;
  await done;
  // Slowly, because a busy machine leaves out pictures.
  video.playbackRate = 0.5;
  const times = await watchTimes(video);
  video.pause();
  return computeRate(times);
}

/**
 * @param {HTMLVideoElement} video
 * @returns {Promise<number[]>} seconds within the video at which pictures begin
 */
function watchTimes(video) {
  return new Promise((resolve) => {
    /** @type {number[]} */
    const times = [];
    const finish = () => {
      clearTimeout(timer);
      resolve(times);
    };
    const timer = setTimeout(finish, RATE_MS);
    /** @type {VideoFrameRequestCallback} */
    const note = (_, { mediaTime }) => {
      times.push(mediaTime);
      if (times.length > RATE_PICTURES) finish();
      else video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
    video.addEventListener("ended", finish, { once: true });
    video.play().catch(finish);
  });
}

/**
 * Compute pictures a second from the times of some pictures, of which a few may have been left out.
 *
 * @param {number[]} times in seconds
 * @returns {number}
 */
export function computeRate(times) {
  const distinct = [...new Set(times)].sort((a, b) => a - b);
  const steps = distinct.slice(1).map((time, at) => time - distinct[at]).sort((a, b) => a - b);
  // Gaps of pictures that were left out are among the longer steps.
  const period = steps[Math.floor(steps.length / 4)];
  if (!period) return USUAL_FPS;
  const span = distinct[distinct.length - 1] - distinct[0];
  const fps = Math.round(span / period) / span;
  const near = COMMON_FPS.reduce((best, rate) => (Math.abs(rate - fps) < Math.abs(best - fps) ? rate : best));
  return Math.abs(near - fps) / fps <= COMMON_WITHIN ? near : fps;
}

/** The browser cannot play what it was given. */
class MediaFault extends Error {}

/**
 * Wait for an event of a video.
 *
 * @param {HTMLVideoElement} video
 * @param {string} event
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 * @throws {MediaFault} the video breaks, or the event does not come.
 */
function waitFor(video, event, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => reject(new MediaFault(`${event} did not come`))), SEEK_MS);
    /** @param {() => void} finish */
    const settle = (finish) => {
      clearTimeout(timer);
      video.removeEventListener(event, succeed);
      video.removeEventListener("error", fail);
      signal.removeEventListener("abort", stop);
      finish();
    };
    const succeed = () => settle(resolve);
    const fail = () => settle(() => reject(new MediaFault(video.error?.message ?? "the video broke")));
    const stop = () => settle(() => reject(signal.reason));
    video.addEventListener(event, succeed);
    video.addEventListener("error", fail);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
  });
}
