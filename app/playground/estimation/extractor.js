// @ts-check
/** What estimates poses in this page, as requests name it. */

/** Version of @mediapipe/holistic in package.json; a test compares them. */
export const HOLISTIC_VERSION = "0.5.1675471629";

/** The same settings as the service's own estimator (video/holistic.py), because they are those of the authors' data. */
export const SETTINGS = Object.freeze({
  modelComplexity: 1,
  staticImageMode: false,
  smoothLandmarks: true,
  refineFaceLandmarks: false,
});

export const BROWSER_EXTRACTOR =
  `browser mediapipe-holistic-js-${HOLISTIC_VERSION} ` +
  "model_complexity=1,static_image_mode=false,smooth_landmarks=true,refine_face_landmarks=false";
