// `node calls.mjs ADDRESS MODEL`: the calls of OpenAI's JavaScript client, as a line of JSON each.
// A call is right when its vectors are those of POST /api/embed/text, or when it cannot be right and is refused with the
// words that help.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const TEXTS = ["<en> <ase> A", "<en> <ase> B", "<en> <ase> C"];
const TOLERANCE = 1e-6;
const [address, model] = process.argv.slice(2);
const installed = new URL("node_modules/openai/package.json", import.meta.url);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "any-key", maxRetries: 0 });
const rootless = new OpenAI({ baseURL: address, apiKey: "any-key", maxRetries: 0 });

const answer = await fetch(`${address}/api/embed/text`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ text: TEXTS, model_name: model }),
});
const expected = (await answer.json()).embeddings;

async function create(input, options = {}, made = client) {
  const found = await made.embeddings.create({ model, input, ...options });
  return found.data.map((row) => row.embedding);
}

const calls = {
  "embeddings.create({input: text})": [() => create(TEXTS[0]), expected.slice(0, 1)],
  "embeddings.create({input: [texts]})": [() => create(TEXTS), expected],
  "embeddings.create({encoding_format: 'float'})": [() => create(TEXTS, { encoding_format: "float" }), expected],
  "embeddings.create({encoding_format: 'base64'})": [
    async () =>
      (await create(TEXTS, { encoding_format: "base64" })).map((text) =>
        Array.from(new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer)),
      ),
    expected,
  ],
  "embeddings.create({encoding_format: null})": [() => create(TEXTS, { encoding_format: null }), expected],
  "models.list()": [
    async () => {
      const names = [];
      for await (const entry of client.models.list()) names.push(entry.id);
      if (!names.includes(model)) throw new Error(`${model} is not among ${names}`);
      return [];
    },
    [],
  ],
  "models.retrieve(name)": [
    async () => {
      const entry = await client.models.retrieve(model);
      if (entry.id !== model) throw new Error("another model was retrieved");
      return [];
    },
    [],
  ],
  "baseURL without /v1": [() => create(TEXTS, {}, rootless), expected],
};

function difference(vectors) {
  return Math.max(0, ...vectors.flatMap(([row, other]) => row.map((value, place) => Math.abs(value - other[place]))));
}

for (const [call, [make, wanted]] of Object.entries(calls)) {
  let is_right = false;
  let note = "";
  try {
    const vectors = await make();
    if (vectors.length !== wanted.length || vectors.some((row, place) => row.length !== wanted[place].length)) {
      note = `${vectors.length} vectors came for ${wanted.length} texts, or of another length`;
    } else {
      const error = difference(vectors.map((row, place) => [row, wanted[place]]));
      is_right = error <= TOLERANCE;
      note = is_right ? "" : `the vectors differ by ${error}`;
    }
  } catch (error) {
    is_right = call.includes("without /v1") && error.message.includes("/v1");
    note = `${error.constructor.name}: ${String(error.message).replace(/\s+/g, " ")}`;
  }
  const { version } = JSON.parse(readFileSync(installed, "utf8"));
  console.log(JSON.stringify({ client: `openai (JavaScript) ${version}`, call, is_right, note }));
}
