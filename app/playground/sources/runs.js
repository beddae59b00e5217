// @ts-check
/**
 * What is being opened, and what could not be: each thing has its own progress and its own error. It goes on when the page is
 * built anew, and stands then in the new page, in the new language.
 */

import { describeError } from "../context.js";
import { element } from "../dom.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {(context: Context) => Node[]} Show  builds what is shown, for the page that stands now */

/** All that is being opened in this tab. */
export class Runs {
  constructor() {
    /** @type {Map<string, Place>} */
    this._places = new Map();
  }

  /**
   * Take the place of a source into a page that is being built, with what runs in it.
   *
   * @param {string} source
   * @param {Context} context
   * @returns {Place}
   */
  takePlace(source, context) {
    const place = this._places.get(source) ?? new Place(context);
    this._places.set(source, place);
    place.move(context);
    return place;
  }
}

/** Where the runs of one source are shown. */
export class Place {
  /** @param {Context} context */
  constructor(context) {
    this.root = element("div", { class: "stack" });
    this.context = context;
    /** @type {Run[]} */
    this._runs = [];
  }

  /** @param {Context} context of the page that stands now */
  move(context) {
    this.context = context;
    for (const run of this._runs) run.draw();
  }

  /** Forget what earlier runs said, unless they still work: two videos may be estimated at a time. */
  clear() {
    for (const run of this._runs) if (!run.works) this.remove(run);
  }

  /** @param {Run} run */
  remove(run) {
    run.root.remove();
    this._runs = this._runs.filter((other) => other !== run);
  }

  /**
   * Run something after what earlier runs said is gone, and show its error.
   *
   * @param {(run: Run) => Promise<void>} work
   */
  async run(work) {
    this.clear();
    await this.add(work);
  }

  /**
   * Run something beside what is shown, and show its error.
   *
   * @param {(run: Run) => Promise<void>} work
   */
  async add(work) {
    const run = new Run(this);
    this._runs.push(run);
    this.root.append(run.root);
    try {
      await work(run);
      this.remove(run);
    } catch (error) {
      run.show(({ t }) => [element("p", { class: "problem", role: "alert" }, describeError(error, t))]);
    }
    run.works = false;
  }
}

/** One thing that is being opened. */
export class Run {
  /** @param {Place} place */
  constructor(place) {
    this._place = place;
    this.root = element("div", { class: "stack" });
    this.works = true;
    /** @type {Show} */
    this._show = () => [];
  }

  /** The context of the page that stands now; another one stands there after a change of language. */
  get context() {
    return this._place.context;
  }

  /** @param {Show} show */
  show(show) {
    this._show = show;
    this.draw();
  }

  /** Build what is shown anew. */
  draw() {
    this.root.replaceChildren(...this._show(this.context));
  }
}
