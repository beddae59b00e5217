// @ts-check
/** Signs that a person taught: examples as vectors, and which sign a new vector is nearest to. No service is asked. */

/** @typedef {import("../session.js").Example} Example */
/** @typedef {{label: string, score: number, count: number}} Ranked */

/** Examples of a sign whose cosines are averaged, as the service's method "neighbours" does. */
const NEIGHBOURS = 3;

/**
 * Read the examples of a session, which may come from a file; what is no example is left out.
 *
 * @param {unknown} bank
 * @returns {Example[]}
 */
export function readExamples(bank) {
  return Array.isArray(bank) ? bank.filter(isExample) : [];
}

/**
 * Count the examples of each label, in the order in which they were taught.
 *
 * @param {Example[]} examples
 * @returns {Map<string, number>}
 */
export function countLabels(examples) {
  const counts = new Map();
  for (const { label } of examples) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

/**
 * Rank the labels for a vector by the mean cosine with their nearest examples, the best first.
 *
 * @param {Example[]} examples
 * @param {number[]} vector
 * @returns {Ranked[]}
 */
export function rankLabels(examples, vector) {
  /** @type {Map<string, number[]>} */
  const cosines = new Map();
  for (const example of examples) {
    const found = cosines.get(example.label) ?? [];
    found.push(computeCosine(example.vector, vector));
    cosines.set(example.label, found);
  }
  return [...cosines]
    .map(([label, found]) => {
      const nearest = found.sort((one, other) => other - one).slice(0, NEIGHBOURS);
      return { label, score: nearest.reduce((sum, cosine) => sum + cosine, 0) / nearest.length, count: found.length };
    })
    .sort((one, other) => other.score - one.score);
}

/**
 * Find the score that a clip of another sign can reach: the highest that an example of the bank gets for a label that is
 * not its own. What scores no higher may be no sign of the bank; null while there is one label only.
 *
 * @param {Example[]} examples
 * @returns {number | null}
 */
export function findLimit(examples) {
  const foreign = examples.flatMap((example) => {
    const [best] = rankLabels(examples.filter(({ label }) => label !== example.label), example.vector);
    return best ? [best.score] : [];
  });
  return foreign.length ? Math.max(...foreign) : null;
}

/**
 * @param {number[]} one
 * @param {number[]} other
 */
export function computeCosine(one, other) {
  let [dot, ones, others] = [0, 0, 0];
  for (let index = 0; index < one.length; index++) {
    dot += one[index] * other[index];
    ones += one[index] ** 2;
    others += other[index] ** 2;
  }
  return ones && others ? dot / Math.sqrt(ones * others) : 0;
}

/** @param {any} value @returns {value is Example} */
function isExample(value) {
  const { label, vector, space, clip } = value ?? {};
  const isNamed = [label, space, clip].every((text) => typeof text === "string");
  return isNamed && Array.isArray(vector) && vector.length > 0 && vector.every(Number.isFinite);
}
