// @ts-check
/** Numbers as a person writes them: with a point in English, with a comma in German. */

/**
 * Write a number.
 *
 * @param {number} value
 * @param {string} language
 * @param {number} [digits]  after the point
 */
export function writeNumber(value, language, digits = 2) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/**
 * Write a share in percent; what is not quite none or all is not rounded to it.
 *
 * @param {number} share  0 to 1
 * @param {string} language
 */
export function writePercent(share, language) {
  const percent = new Intl.NumberFormat(language, { style: "percent" });
  if (share > 0 && share < 0.005) return `< ${percent.format(0.01)}`;
  return share > 0.99 && share < 1 ? `> ${percent.format(0.99)}` : percent.format(share);
}
