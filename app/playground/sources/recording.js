// @ts-check
/** Takes the pictures of a camera first and leaves their estimation for later: so their rate is true however slow the machine is. */

/** @typedef {import("../estimation/frames.js").Frames} Frames */

/** More pictures a second than that tell the model nothing: its clips have 12 to 60, most of them 25 (poses/quality.py). */
const MOST_PER_SECOND = 31;
/** A camera in the dark gives fewer pictures; one that gives none for so long is gone. */
const SILENCE_MS = 3000;

/**
 * Record from a camera.
 *
 * @param {HTMLVideoElement} video shows the camera.
 * @param {MediaStream} stream of the camera.
 * @param {{seconds: number, signal: AbortSignal, onSecond: (left: number) => void}} options signal ends the recording early
 *   and keeps what was taken; onSecond is called once a second.
 * @returns {Promise<{frames: Frames, video: Blob}>}
 */
export async function record(video, stream, { seconds, signal, onSecond }) {
  const recorder = startRecorder(stream);
  const { pictures, times } = await takePictures(video, { seconds, signal, onSecond }).catch(async (error) => {
    await recorder.stop();
    throw error;
  });
  const blob = await recorder.stop();
  const span = times.length > 1 ? times[times.length - 1] - times[0] : 0;
  const fps = span > 0 ? ((times.length - 1) * 1000) / span : 25;
  // Of the pictures, because a camera that was stopped has no size any more.
  const { width = 0, height = 0 } = pictures[0] ?? {};
  const frames = { fps, width, height, total: pictures.length, pictures };
  return { frames, video: blob };
}

/**
 * @param {HTMLVideoElement} video
 * @param {{seconds: number, signal: AbortSignal, onSecond: (left: number) => void}} options
 * @returns {Promise<{pictures: ImageBitmap[], times: number[]}>} times in milliseconds
 */
function takePictures(video, { seconds, signal, onSecond }) {
  return new Promise((resolve, reject) => {
    /** @type {Promise<ImageBitmap>[]} */
    const taken = [];
    /** @type {number[]} */
    const times = [];
    let shown = Infinity;
    let watch = 0;
    let isOver = false;
    const finish = () => {
      isOver = true;
      clearTimeout(watch);
      Promise.all(taken).then((pictures) => resolve({ pictures, times }), reject);
    };
    /** @param {number} now */
    const step = (now) => {
      if (isOver) return;
      clearTimeout(watch);
      const start = times[0] ?? now;
      if (signal.aborted || now - start >= seconds * 1000) {
        finish();
        return;
      }
      if (!times.length || now - times[times.length - 1] >= 1000 / MOST_PER_SECOND) {
        times.push(now);
        const picture = createImageBitmap(video);
        picture.catch(finish); // a camera that gives no picture ends the recording
        taken.push(picture);
      }
      const left = Math.ceil(seconds - (now - start) / 1000);
      if (left < shown) onSecond((shown = left));
      wait();
    };
    const wait = () => {
      watch = setTimeout(finish, SILENCE_MS);
      if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback((now) => step(now));
      else setTimeout(() => step(performance.now()), 1000 / 25);
    };
    // A camera that was stopped gives no further picture to end by.
    signal.addEventListener("abort", finish, { once: true });
    wait();
  });
}

/**
 * Record a video beside the pictures, for the player.
 *
 * @param {MediaStream} stream
 * @returns {{stop: () => Promise<Blob>}} the blob is empty where the browser cannot record.
 */
function startRecorder(stream) {
  if (typeof MediaRecorder === "undefined") return { stop: async () => new Blob([]) };
  /** @type {Blob[]} */
  const pieces = [];
  const recorder = new MediaRecorder(stream);
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.start();
  return {
    stop: () =>
      new Promise((resolve) => {
        recorder.addEventListener("stop", () => resolve(new Blob(pieces, { type: recorder.mimeType })), { once: true });
        if (recorder.state === "inactive") resolve(new Blob(pieces, { type: recorder.mimeType }));
        else recorder.stop();
      }),
  };
}
