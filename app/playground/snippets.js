// @ts-check
/** The request behind a result as cURL, Python and JavaScript, to be copied. A key is never shown, only where it goes. */

import { element } from "./dom.js";
import { nameFile, writePath } from "./requests.js";

/** @typedef {import("./requests.js").ServiceRequest} ServiceRequest */
/** @typedef {import("./session.js").Clip} Clip */
/** @typedef {import("./context.js").Context} Context */
/** @typedef {{curl: string, python: string, javascript: string}} Snippet */

/** The environment variable that a snippet takes the key from. */
const KEY_VARIABLE = "SIGNCLIP_API_KEY";
const LANGUAGES = /** @type {const} */ ([
  ["curl", "cURL"],
  ["python", "Python"],
  ["javascript", "JavaScript"],
]);

/**
 * Write a request in three languages. Each prints the answer's JSON; the clip's file is looked for beside it.
 *
 * @param {ServiceRequest} request
 * @param {object} options
 * @param {string} options.base  where the service is, as "http://localhost:3030"
 * @param {boolean} [options.needsKey]
 * @returns {Snippet}
 */
export function writeSnippet(request, { base, needsKey = false }) {
  const url = base.replace(/\/$/, "") + writePath(request);
  return { curl: writeCurl(request, url, needsKey), python: writePython(request, url, needsKey), javascript: writeJavaScript(request, url, needsKey) };
}

/**
 * Show the requests behind a result, folded until somebody wants them.
 *
 * @param {Context} context
 * @param {ServiceRequest[]} requests
 * @param {string} base
 * @returns {HTMLElement}
 */
export function createSnippets({ t, features, announce }, requests, base) {
  const code = element("code");
  const tabs = LANGUAGES.map(([key, name]) =>
    element("button", { type: "button", "aria-pressed": key === "curl", onclick: () => show(key) }, name),
  );
  /** @param {keyof Snippet} chosen */
  const show = (chosen) => {
    LANGUAGES.forEach(([key], place) => tabs[place].setAttribute("aria-pressed", String(key === chosen)));
    code.textContent = requests.map((request) => writeSnippet(request, { base, needsKey: features.needsKey })[chosen]).join("\n\n");
  };
  const copy = element("button", { type: "button", onclick: () => copyText(code, copy) }, t("snippet.copy"));
  /** @param {HTMLElement} source @param {HTMLElement} button */
  const copyText = async (source, button) => {
    const copied = await copyToClipboard(source);
    announce(t(copied ? "snippet.copied" : "snippet.select"));
    button.textContent = t(copied ? "snippet.copied" : "snippet.copy");
  };
  show("curl");
  const clips = new Set(requests.map((request) => request.clip).filter((clip) => clip !== null));
  return element(
    "details",
    { class: "snippets" },
    element("summary", {}, t("snippet.title")),
    element("div", { class: "row", role: "group", "aria-label": t("snippet.languages") }, ...tabs, copy),
    element("pre", { tabindex: "0" }, code),
    ...[...clips].map((clip) => element("p", { class: "note" }, t("snippet.file"), " ", linkFile(clip))),
  );
}

/**
 * Link the bytes of a clip, which snippets read from a file.
 *
 * @param {Clip} clip
 */
function linkFile(clip) {
  const link = element("a", { href: "#", download: nameFile(clip) }, nameFile(clip));
  // Made when it is wanted, because an address of bytes keeps them in memory until it is given back.
  link.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (clip.pose)], { type: "application/octet-stream" }));
    link.href = address;
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
  return link;
}

/** @param {HTMLElement} source */
async function copyToClipboard(source) {
  try {
    await navigator.clipboard.writeText(source.textContent ?? "");
    return true;
  } catch {
    // Without HTTPS there is no clipboard: the text is selected, so that one key copies it.
    getSelection()?.selectAllChildren(source);
    return false;
  }
}

/** @param {ServiceRequest} request @param {string} url @param {boolean} needsKey */
function writeCurl(request, url, needsKey) {
  const { method, kind, clip, fields, json } = request;
  const parts = [`curl -s ${quoteShell(url)}`];
  if (needsKey) parts.push(`-H "Authorization: Bearer $${KEY_VARIABLE}"`);
  if (kind === "json") {
    if (method !== "POST") parts.push(`-X ${method}`);
    parts.push("-H 'Content-Type: application/json'", `-d ${quoteShell(JSON.stringify(json))}`);
  }
  if (clip !== null && kind === "raw") parts.push("-H 'Content-Type: application/octet-stream'", `--data-binary @${nameFile(clip)}`);
  if (clip !== null && kind === "form") {
    parts.push(`-F pose=@${nameFile(clip)}`);
    // -F would read a text that begins with @ or < from a file.
    parts.push(...fields.map(([name, value]) => `--form-string ${quoteShell(`${name}=${value}`)}`));
  }
  return parts.join(" \\\n  ");
}

/** @param {ServiceRequest} request @param {string} url @param {boolean} needsKey */
function writePython(request, url, needsKey) {
  const { method, kind, clip, fields, json } = request;
  const given = [];
  if (needsKey) given.push(`headers={"Authorization": f"Bearer {os.environ['${KEY_VARIABLE}']}"}`);
  if (kind === "json") given.push(`json=${writePythonValue(json)}`);
  if (clip !== null && kind === "raw") {
    const type = '"Content-Type": "application/octet-stream"';
    if (needsKey) given[0] = given[0].replace(/\}$/, `, ${type}}`);
    else given.push(`headers={${type}}`);
    given.push("data=clip");
  }
  if (clip !== null && kind === "form") {
    given.push('files={"pose": clip}');
    if (fields.length) given.push(`data=[\n${fields.map((field) => `    (${field.map(writePythonValue).join(", ")}),\n`).join("")}]`);
  }
  const lines = [needsKey ? "import os\n\nimport requests\n" : "import requests\n"];
  if (clip !== null) lines.push(`clip = open(${writePythonValue(nameFile(clip))}, "rb").read()`);
  lines.push(`answer = requests.${method.toLowerCase()}(`, `    ${writePythonValue(url)},`, ...given.map((one) => `    ${one.replaceAll("\n", "\n    ")},`), ")");
  return [...lines, "answer.raise_for_status()", "print(answer.text)"].join("\n");
}

/** @param {ServiceRequest} request @param {string} url @param {boolean} needsKey */
function writeJavaScript(request, url, needsKey) {
  const { method, kind, clip, fields, json } = request;
  const lines = [];
  const headers = [];
  if (clip !== null) {
    lines.push('import { openAsBlob } from "node:fs"; // in a page: the file of an <input type="file">', "");
    lines.push(`const clip = await openAsBlob(${JSON.stringify(nameFile(clip))});`);
  }
  if (needsKey) headers.push(`Authorization: \`Bearer \${process.env.${KEY_VARIABLE}}\``);
  if (kind === "json") headers.push('"Content-Type": "application/json"');
  if (kind === "raw") headers.push('"Content-Type": "application/octet-stream"');
  let body = "";
  if (kind === "json") body = `JSON.stringify(${JSON.stringify(json)})`;
  if (clip !== null && kind === "raw") body = "clip";
  if (clip !== null && kind === "form") {
    lines.push("const body = new FormData();", `body.append("pose", clip, ${JSON.stringify(nameFile(clip))});`);
    lines.push(...fields.map(([name, value]) => `body.append(${JSON.stringify(name)}, ${JSON.stringify(value)});`));
  }
  lines.push(`const answer = await fetch(${JSON.stringify(url)}, {`);
  lines.push(`  method: ${JSON.stringify(method)},`);
  if (headers.length) lines.push(`  headers: { ${headers.join(", ")} },`);
  if (body) lines.push(`  body: ${body},`);
  else if (clip !== null) lines.push("  body,");
  return [...lines, "});", "console.log(await answer.text());"].join("\n");
}

/** @param {string} text */
function quoteShell(text) {
  return /^[A-Za-z0-9_\-.:/=]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * Write a value of JSON as Python writes it.
 *
 * @param {unknown} value
 * @returns {string}
 */
function writePythonValue(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(writePythonValue).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value ?? {}).map(([key, item]) => `${writePythonValue(key)}: ${writePythonValue(item)}`).join(", ")}}`;
  }
  // Strings and numbers of JSON are Python's own; of the escapes, only pairs of surrogates differ, which JSON.stringify
  // writes as the characters themselves.
  return JSON.stringify(value);
}
