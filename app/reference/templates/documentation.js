"use strict";

// A reader learns nothing from longer arrays of numbers.
const SHOWN_NUMBERS = 6;

for (const code of document.querySelectorAll("pre.curl code")) {
  code.textContent = code.textContent.replace("http://localhost:3030", location.href.replace(/\/docs.*$/, ""));
}

function shorten(value) {
  if (Array.isArray(value)) {
    if (value.length > SHOWN_NUMBERS && value.every((item) => typeof item === "number")) {
      const shown = value.slice(0, SHOWN_NUMBERS).map((number) => Number(number.toPrecision(5)));
      return `[${shown.join(", ")}, … ${value.length} numbers]`;
    }
    return value.map(shorten);
  }
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shorten(item)]));
  }
  return value;
}

function encodeBase64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

async function send(form) {
  // A reader could do little here with a .pose file or with lines of progress.
  const headers = { Accept: "application/json" };
  const key = document.getElementById("api-key");
  if (key && key.value) headers["X-API-Key"] = key.value;
  const clips = form.elements.clips ? [...form.elements.clips.files] : [];
  let body;
  if (form.elements.body) {
    body = form.elements.body.value;
    if (form.elements.clips) {
      const { pose: placeholder, ...others } = JSON.parse(body);
      body = JSON.stringify(clips.length ? { ...others, pose: await Promise.all(clips.map(encodeBase64)) } : others);
    }
    headers["Content-Type"] = "application/json";
  } else if (form.elements.clips) {
    body = new FormData();
    for (const clip of clips) body.append(form.dataset.clips, clip);
  }
  const address = location.href.replace(/\/docs.*$/, "") + form.dataset.path;
  return fetch(address, { method: form.dataset.method, headers, body });
}

async function show(form) {
  const output = form.querySelector("output");
  const button = form.querySelector("button");
  const line = document.createElement("div");
  const text = document.createElement("pre");
  button.disabled = true;
  try {
    const answer = await send(form);
    const isJson = answer.headers.get("Content-Type").includes("json");
    const content = isJson ? JSON.stringify(shorten(await answer.json()), null, 2) : await answer.text();
    const timing = answer.headers.get("Server-Timing");
    line.className = answer.ok ? "good" : "bad";
    line.textContent = `${answer.status}${timing ? " · " + timing.replaceAll(";dur=", " ") + " ms" : ""}`;
    text.textContent = content;
  } catch (error) {
    line.className = "bad";
    line.textContent = "no answer";
    text.textContent = String(error);
  }
  output.replaceChildren(line, text);
  button.disabled = false;
}

for (const form of document.querySelectorAll("form[data-path]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show(form);
  });
}
