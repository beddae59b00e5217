"use strict";

// Longer arrays of numbers say nothing to a reader.
const SHOWN_NUMBERS = 6;

for (const code of document.querySelectorAll("pre.curl code")) {
  code.textContent = code.textContent.replace("http://localhost:3030", location.href.replace(/\/docs.*$/, ""));
}

function shortened(value) {
  if (Array.isArray(value)) {
    if (value.length > SHOWN_NUMBERS && value.every((item) => typeof item === "number")) {
      const shown = value.slice(0, SHOWN_NUMBERS).map((number) => Number(number.toPrecision(5)));
      return `[${shown.join(", ")}, … ${value.length} numbers]`;
    }
    return value.map(shortened);
  }
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shortened(item)]));
  }
  return value;
}

async function send(form) {
  const headers = {};
  const key = document.getElementById("api-key");
  if (key && key.value) headers["X-API-Key"] = key.value;
  let body;
  if (form.elements.files) {
    body = new FormData();
    for (const file of form.elements.files.files) body.append("pose", file);
  } else if (form.elements.body) {
    body = form.elements.body.value;
    headers["Content-Type"] = "application/json";
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
    const content = await answer.json();
    const timing = answer.headers.get("Server-Timing");
    line.className = answer.ok ? "good" : "bad";
    line.textContent = `${answer.status}${timing ? " · " + timing.replaceAll(";dur=", " ") + " ms" : ""}`;
    text.textContent = JSON.stringify(shortened(content), null, 2);
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
