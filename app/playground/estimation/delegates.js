// @ts-check
/** Chooses what the estimator's networks run on: both are timed on the first pictures, and the faster one is kept. */

/** @typedef {import("./estimator.js").Delegate} Delegate */
/** @typedef {import("./estimator.js").Points} Points */
/**
 * @typedef {object} Runner what estimates: an Estimator, or what stands for one in a test.
 * @property {Delegate} delegate
 * @property {(picture: ImageBitmap, at_ms: number) => Promise<Points>} estimate
 * @property {() => void} close
 */

/** Pictures that are timed; the first one, in which shaders and memory are set up, is not. */
export const TIMED_PICTURES = 10;
/** Emulated graphics: 2,000 ms a picture against 150 ms on the processor (measured with SwiftShader on two cores). */
const SOFTWARE_GL = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/**
 * Return whether WebGL runs on a graphics card.
 *
 * @param {() => (WebGL2RenderingContext | null)} [makeContext]
 */
export function hasGraphicsCard(makeContext = () => new OffscreenCanvas(1, 1).getContext("webgl2")) {
  try {
    const gl = makeContext();
    const facts = gl?.getExtension("WEBGL_debug_renderer_info");
    if (!gl) return false;
    const renderer = facts ? gl.getParameter(facts.UNMASKED_RENDERER_WEBGL) : gl.getParameter(gl.RENDERER);
    return !SOFTWARE_GL.test(String(renderer));
  } catch {
    return false;
  }
}

/**
 * Estimate the first pictures with a second runner, too, and keep the faster one.
 *
 * @param {object} trial
 * @param {Runner} trial.first has estimated the pictures already
 * @param {number} trial.first_ms what it took for all of them but the first
 * @param {Points[]} trial.found what it found
 * @param {ImageBitmap[]} trial.pictures the same pictures; they are used up
 * @param {() => Promise<Runner>} trial.startSecond
 * @param {(number: number) => number} trial.findTime_ms of a picture within the clip
 * @param {() => number} [trial.now] in milliseconds
 * @returns {Promise<{runner: Runner, found: Points[]}>} the other one is closed
 */
export async function keepFaster({ first, first_ms, found, pictures, startSecond, findTime_ms, now = () => performance.now() }) {
  /** @type {Runner | null} */
  let second = null;
  try {
    second = await startSecond();
    const points = [];
    let started = now();
    for (const [number, picture] of pictures.entries()) {
      points.push(await second.estimate(picture, findTime_ms(number)));
      if (number === 0) started = now();
      else if (now() - started > first_ms) break;
    }
    if (points.length === pictures.length && now() - started < first_ms) {
      first.close();
      return { runner: second, found: points };
    }
  } catch {
    // A driver that breaks is slower than any processor.
  }
  second?.close();
  return { runner: first, found };
}
