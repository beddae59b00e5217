// @ts-check
/** Builds the page: what is asked at the left, what the model reads at the right. */

import { Api } from "./api.js";
import { createClips } from "./clips.js";
import { errorShower } from "./context.js";
import { append, element, find } from "./dom.js";
import { isSame, readCollections, readFeatures } from "./features.js";
import { createHeader, createKeyForm, createLead } from "./header.js";
import { readPose } from "./pose/reader.js";
import { Service } from "./service.js";
import { Session } from "./session.js";
import { createSessionFile } from "./session_file.js";
import * as files from "./sources/files.js";
import { Runs } from "./sources/runs.js";
import * as samples from "./sources/samples.js";
import * as webcam from "./sources/webcam.js";
import { Keep } from "./storage.js";
import { chooseLanguage, STRINGS, translator } from "./strings.js";
import { Tabs } from "./tabs.js";
import { chooseDefaults, createPlayer } from "./views/index.js";

/** @typedef {import("./context.js").Context} Context */

const LANGUAGE_NAME = "signclip-language";

const api = new Api();
const service = new Service(api);
const keep = new Keep("localStorage");
const session = new Session(readPose);
const runs = new Runs();
const look = { tab: "" };
let building = new AbortController();
/** What the service can do, as it was last asked. @type {import("./context.js").Features | null} */
let features = null;
/** Whether the session has its first languages and texts; a person may have changed them since. */
let isBegun = false;

service.watch();
build();

/** Build the page anew, in the language that was chosen; the session stays, and what is being opened goes on. */
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
  const keyForm = createKeyForm(t, api, askAnew);
  if (document.body.dataset.keys === "needed") append(main, keyForm.root);
  const show = () => service.state && header.show(service.state, notice, service.isReplaced);
  service.addEventListener("state", show, { signal });
  show();
  try {
    if (features === null) await service.waitUntilReady(signal);
    const found = features ?? (await readFeatures(api, document.body.dataset));
    if (signal.aborted) return;
    features = found;
    const context = { session, api, service, runs, look, t, features, announce, showError: errorShower(t), signal };
    if (!isBegun) chooseDefaults(context);
    isBegun = true;
    const tabs = createColumns(main, context);
    service.addEventListener("back", () => comeBack(context, tabs), { signal });
    await readCollections(api, features);
    tabs.showOffered();
  } catch (error) {
    keyForm.refuse(error);
  }
}

/** Build the page anew, after asking what the service can do. */
function askAnew() {
  features = null;
  build();
}

/**
 * Go on with a service that was away; another one may answer in its place.
 *
 * @param {Context} context
 * @param {Tabs} tabs
 */
async function comeBack(context, tabs) {
  if (service.isReplaced) return;
  const found = await readFeatures(api, document.body.dataset).catch(() => null);
  if (context.signal.aborted) return;
  if (found === null || !isSame(context.features, found)) {
    askAnew();
    return;
  }
  await readCollections(api, context.features);
  tabs.showOffered();
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
  // The button that was pressed is gone with the old page.
  find("header nav button").focus();
}

/** @param {string} text */
function announce(text) {
  find("#announcements").textContent = text;
}
