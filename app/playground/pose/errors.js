// @ts-check
/** What is wrong with the bytes of a pose: a stable code, and the values that a sentence about it names. */

/** A file that is no pose, or that is damaged. */
export class PoseError extends Error {
  /**
   * @param {string} code  also the end of the key of its sentence in strings.js, `pose.…`
   * @param {Record<string, string | number>} [values]  what the sentence names
   */
  constructor(code, values = {}) {
    super(`${code} ${JSON.stringify(values)}`);
    this.name = "PoseError";
    this.code = code;
    this.values = values;
  }

  /**
   * What was wrong and what to do, in the language of the page.
   *
   * @param {(key: string, values?: Record<string, string | number>) => string} t
   */
  sentence(t) {
    return t(`pose.${this.code}`, this.values);
  }
}
