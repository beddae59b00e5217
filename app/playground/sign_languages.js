// @ts-check
/** Names of sign languages in other languages than English; the service gives the English ones. */

/** @typedef {import("./strings.js").Translate} Translate */

/** @type {Record<string, string>} */
const de = {
  swl: "Schwedische Gebärdensprache",
  lls: "Litauische Gebärdensprache",
  dsl: "Dänische Gebärdensprache",
  ise: "Italienische Gebärdensprache",
  bfi: "Britische Gebärdensprache",
  gsg: "Deutsche Gebärdensprache",
  asq: "Österreichische Gebärdensprache",
  csq: "Kroatische Gebärdensprache",
  ssp: "Spanische Gebärdensprache",
  lsl: "Lettische Gebärdensprache",
  rsl: "Russische Gebärdensprache",
  eso: "Estnische Gebärdensprache",
  tsm: "Türkische Gebärdensprache",
  svk: "Slowakische Gebärdensprache",
  "rsl-by": "Belarussische Gebärdensprache",
  psr: "Portugiesische Gebärdensprache",
  aed: "Argentinische Gebärdensprache",
  cse: "Tschechische Gebärdensprache",
  csl: "Chinesische Gebärdensprache",
  icl: "Isländische Gebärdensprache",
  ukl: "Ukrainische Gebärdensprache",
  bqn: "Bulgarische Gebärdensprache",
  ase: "Amerikanische Gebärdensprache",
  pso: "Polnische Gebärdensprache",
  fsl: "Französische Gebärdensprache",
  asf: "Australische Gebärdensprache",
  gss: "Griechische Gebärdensprache",
  pks: "Pakistanische Gebärdensprache",
  fse: "Finnische Gebärdensprache",
  jsl: "Japanische Gebärdensprache",
  "gss-cy": "Zyprische Gebärdensprache",
  rms: "Rumänische Gebärdensprache",
  bzs: "Brasilianische Gebärdensprache",
  csg: "Chilenische Gebärdensprache",
  ins: "Indische Gebärdensprache",
  mfs: "Mexikanische Gebärdensprache",
  jos: "Jordanische Gebärdensprache",
  nzs: "Neuseeländische Gebärdensprache",
  csf: "Kubanische Gebärdensprache",
  ysl: "Jugoslawische Gebärdensprache",
  sgg: "Deutschschweizer Gebärdensprache",
  ils: "International Sign",
};

/** @type {Record<string, Record<string, string>>} */
const NAMES = { de };

/**
 * Name a sign language in the person's language; in English where there is no such name.
 *
 * @param {{tag: string, name: string}} language as the service lists it
 * @param {Translate} t
 */
export function nameSignLanguage({ tag, name }, t) {
  return NAMES[t.language]?.[tag] ?? name;
}
