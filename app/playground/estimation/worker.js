// @ts-check
/**
 * Runs the pose estimator beside the page: pictures in, points out.
 *
 * A classic worker, because @mediapipe/holistic loads its parts with importScripts. That package expects a document; this file
 * gives it the little of one that it uses.
 *
 * In:  {type: "start", files, useCpu} · {type: "frame", number, picture, at} · {type: "reset"}
 * Out: {type: "started"} · {type: "points", number, data, confidence, seen} · {type: "reset"} · {type: "failed", reason}
 */

// In the order of the layout of MediaPipe Holistic poses (pose_format.utils.holistic).
const BODY = 33, FACE = 468, HAND = 21;
const POINTS = BODY + FACE + HAND + HAND + BODY;

/** @type {any} */
const scope = self;
/** @type {any} */
let holistic = null;
/** @type {any} */
let results = null;

scope.window = self;
scope.document = {
  currentScript: null,
  addEventListener() {},
  createElement(/** @type {string} */ tag) {
    if (tag === "canvas") return new OffscreenCanvas(1, 1);
    const listeners = /** @type {Record<string, () => void>} */ ({});
    return {
      src: "",
      setAttribute(/** @type {string} */ name, /** @type {string} */ value) {
        if (name === "src") this.src = value;
      },
      addEventListener(/** @type {string} */ name, /** @type {() => void} */ listener) {
        listeners[name] = listener;
      },
      load() {
        scope.importScripts(this.src);
        listeners.load?.();
      },
    };
  },
  body: {
    appendChild(/** @type {{load: () => void}} */ script) {
      script.load();
    },
  },
};
// The package reports a missing WebGL by an alert, which a worker lacks.
scope.alert = (/** @type {string} */ reason) => {
  throw new Error(reason);
};

scope.addEventListener("message", (/** @type {MessageEvent} */ event) => {
  answer(event.data).catch((error) => scope.postMessage({ type: "failed", reason: String(error?.message ?? error) }));
});

/** @param {any} message */
async function answer(message) {
  if (message.type === "start") {
    await start(message);
    scope.postMessage({ type: "started" });
  } else if (message.type === "reset") {
    holistic.reset();
    scope.postMessage({ type: "reset" });
  } else {
    await estimate(message);
  }
}

/** @param {{files: string, useCpu: boolean, settings: Record<string, unknown>}} options */
async function start({ files, useCpu, settings }) {
  scope.importScripts(`${files}holistic.js`);
  holistic = new scope.Holistic({ locateFile: (/** @type {string} */ name) => files + name });
  // Not in the package's documentation, but among its options: its networks run by WebAssembly, or else by WebGL.
  holistic.setOptions({ ...settings, useCpuInference: useCpu });
  holistic.onResults((/** @type {any} */ found) => {
    results = found;
  });
  await holistic.initialize();
}

/** @param {{number: number, picture: ImageBitmap, at: number}} message at: milliseconds within the clip */
async function estimate({ number, picture, at }) {
  results = null;
  const { width, height } = picture;
  await findTimed(holistic).send({ image: picture }, at);
  picture.close();
  if (results === null) throw new Error("it gave no result");
  results.image?.close?.();
  const { data, confidence } = readPoints(results, width, height);
  const seen = results.poseLandmarks !== undefined;
  scope.postMessage({ type: "points", number, data, confidence, seen }, [data.buffer, confidence.buffer]);
}

/**
 * Find the part of the package that takes a picture's time. The outer `send` drops it, and then smoothing would follow the wall
 * clock: a slow machine would get other points than a fast one.
 *
 * @param {any} solution
 */
function findTimed(solution) {
  const inner = Object.values(solution).find((part) => typeof part?.send === "function" && part.send.length === 2);
  if (!inner) throw new Error("this build of @mediapipe/holistic takes no times");
  return inner;
}

/**
 * Write points as the service does (pose_format.utils.holistic): x and y in pixels, and no points where nothing was seen.
 *
 * @param {any} found
 * @param {number} width
 * @param {number} height
 */
function readPoints(found, width, height) {
  const data = new Float32Array(POINTS * 3);
  const confidence = new Float32Array(POINTS);
  // World landmarks have an obfuscated name, which differs between builds: the list of 33 that is not poseLandmarks.
  const world = Object.entries(found).find(([name, list]) => name !== "poseLandmarks" && Array.isArray(list) && list.length === BODY);
  const parts = [
    { list: found.poseLandmarks, size: BODY, byVisibility: true },
    { list: found.faceLandmarks, size: FACE, byVisibility: false },
    { list: found.leftHandLandmarks, size: HAND, byVisibility: false },
    { list: found.rightHandLandmarks, size: HAND, byVisibility: false },
    { list: world?.[1], size: BODY, byVisibility: true },
  ];
  let start = 0;
  for (const { list, size, byVisibility } of parts) {
    for (let at = 0; list && at < size; at++) {
      data.set([list[at].x * width, list[at].y * height, list[at].z], (start + at) * 3);
      confidence[start + at] = byVisibility ? list[at].visibility : 1;
    }
    start += size;
  }
  return { data, confidence };
}
