// @ts-check
/** Builds the page: what is asked at the left, what the model reads at the right. */

import { Api } from "./api.js";
import { createClips } from "./clips.js";
import { errorShower } from "./context.js";
import { append, element, find } from "./dom.js";
import { readCollections, readFeatures, waitUntilReady } from "./features.js";
import { createHeader, createKeyForm, createLead } from "./header.js";
import { readPose } from "./pose/reader.js";
import { Session } from "./session.js";
import { createSessionFile } from "./session_file.js";
import * as files from "./sources/files.js";
import * as samples from "./sources/samples.js";
import * as webcam from "./sources/webcam.js";
import { Keep } from "./storage.js";
import { chooseLanguage, STRINGS, translator } from "./strings.js";
import { Tabs } from "./tabs.js";
import { chooseDefaults, createPlayer } from "./views/index.js";

/** @typedef {import("./context.js").Context} Context */

const LANGUAGE_NAME = "signclip-language";

const api = new Api();
const keep = new Keep("localStorage");
const session = new Session(readPose);
let building = new AbortController();
/** Whether the session has its first languages and texts; a person may have changed them since. */
let isBegun = false;

build();

/** Build the page anew, in the language that was chosen; the session stays. */
async function build() {
  building.abort();
  building = new AbortController();
  const { signal } = building;
  const t = translator(chooseLanguage(keep.get(LANGUAGE_NAME), navigator.languages));
  document.documentElement.lang = t.language;
  document.title = t("page.title");
  const page = find("#page");
  const header = createHeader(t, switchLanguage);
  const notice = element("div", { class: "notice", role: "status", hidden: true });
  const main = element("main", {});
  page.replaceChildren(header.root, notice, main);
  append(main, createLead(t, document.body.dataset.estimator === "installed"));
  const keyForm = createKeyForm(t, api, build);
  if (document.body.dataset.keys === "needed") append(main, keyForm.root);
  await waitUntilReady(api, (state) => header.show(state, notice), signal);
  if (signal.aborted) return;
  try {
    const features = await readFeatures(api, document.body.dataset);
    if (signal.aborted) return;
    header.showModel(features.defaultModel);
    const context = { session, api, t, features, announce, showError: errorShower(t), signal };
    if (!isBegun) chooseDefaults(context);
    isBegun = true;
    const tabs = createColumns(main, context);
    await readCollections(api, features);
    tabs.showOffered();
  } catch (error) {
    keyForm.refuse(error);
  }
}

/**
 * @param {HTMLElement} main
 * @param {Context} context
 */
function createColumns(main, context) {
  const { t } = context;
  const sources = element("div", { class: "card stack" }, element("h2", {}, t("source.title")));
  append(sources, samples.create(context), webcam.create(context), files.create(context));
  const left = element("div", { class: "stack" }, sources, createSessionFile(context));
  const results = element("div", { class: "results", id: "results", tabindex: "-1" });
  const tabs = new Tabs(context);
  append(results, createClips(context), tabs.root, createPlayer(context));
  showNewClips(context, results);
  append(main, element("div", { class: "columns" }, left, results));
  return tabs;
}

/**
 * Bring the results into sight when a clip has come, because on a phone they are far below what was pressed.
 *
 * @param {Context} context
 * @param {HTMLElement} results
 */
function showNewClips({ session, signal }, results) {
  let clips = session.clips.length;
  session.addEventListener("change", () => {
    const isNew = session.clips.length > clips;
    clips = session.clips.length;
    if (isNew && results.getBoundingClientRect().top > window.innerHeight / 2) requestAnimationFrame(() => results.scrollIntoView());
  }, { signal });
}

function switchLanguage() {
  const tags = Object.keys(STRINGS);
  const next = tags[(tags.indexOf(document.documentElement.lang) + 1) % tags.length];
  keep.set(LANGUAGE_NAME, next);
  build();
}

/** @param {string} text */
function announce(text) {
  find("#announcements").textContent = text;
}
