"""`python calls.py ADDRESS MODEL`: every call of the Python clients' embedding classes, as a line of JSON each.

Runs in a virtual environment that holds the clients and nothing of this project; checks/clients.sh makes it and draws
the table. A call is right when its vectors are those of POST /api/embed/text, or when it cannot be right and is refused
with the words that help.
"""

import asyncio
import json
import os
import sys
import urllib.request
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TEXTS = ["<en> <ase> A", "<en> <ase> B", "<en> <ase> C"]
# More than one request of LangChain's default chunks (1000) and of LlamaIndex's default batches (100) holds.
MANY = [f"<en> <ase> {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"] * 50
TOLERANCE = 1e-6
KEY = "any-key"

Vectors = Sequence[Sequence[float]]
Call = Callable[[], Vectors | Coroutine[Any, Any, Vectors]]


def prepare_environment() -> None:
    """Keep the libraries from fetching tables of prices and word pieces; LlamaIndex's package holds the pieces."""
    os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", HAYSTACK_TELEMETRY_ENABLED="False")
    package = find_spec("llama_index.core")
    if package is not None and package.origin is not None:
        os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(package.origin).parent / "_static" / "tiktoken_cache")


def expect(address: str, model: str, texts: Sequence[str]) -> Vectors:
    """Ask the service itself for the vectors of texts."""
    unique = list(dict.fromkeys(texts))
    body = json.dumps({"text": unique, "model_name": model}).encode()
    request = urllib.request.Request(f"{address}/api/embed/text", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        rows = json.load(answer)["embeddings"]
    known = dict(zip(unique, rows, strict=True))
    return [known[text] for text in texts]


def openai_calls(address: str, model: str) -> dict[str, tuple[Call, Sequence[str]]]:
    """The calls of OpenAI's own package, and the texts that each embeds."""
    from openai import AsyncOpenAI, OpenAI

    client = OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
    rootless = OpenAI(base_url=address, api_key=KEY, max_retries=0)

    def create(asked: Any, client: Any = client, **options: Any) -> Vectors:
        answer = client.embeddings.create(model=model, input=asked, **options)
        return [row.embedding for row in answer.data]

    async def create_async() -> Vectors:
        async with AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0) as client:
            return [row.embedding for row in (await client.embeddings.create(model=model, input=TEXTS)).data]

    def list_models() -> Vectors:
        names = [entry.id for entry in client.models.list()]
        if model not in names:
            raise LookupError(f"{model} is not among {names}")
        return []

    def retrieve_model() -> Vectors:
        if client.models.retrieve(model).id != model:
            raise LookupError("another model was retrieved")
        return []

    return {
        "embeddings.create(input=text)": (lambda: create(TEXTS[0]), TEXTS[:1]),
        "embeddings.create(input=[texts])": (lambda: create(TEXTS), TEXTS),
        "embeddings.create(encoding_format='float')": (lambda: create(TEXTS, encoding_format="float"), TEXTS),
        "embeddings.create(encoding_format=None)": (lambda: create(TEXTS, encoding_format=None), TEXTS),
        "embeddings.create(1300 texts)": (lambda: create(MANY), MANY),
        "AsyncOpenAI: embeddings.create": (create_async, TEXTS),
        "models.list()": (list_models, []),
        "models.retrieve(name)": (retrieve_model, []),
        "base_url without /v1": (lambda: create(TEXTS, rootless), TEXTS),
    }


def langchain_calls(address: str, model: str) -> dict[str, tuple[Call, Sequence[str]]]:
    """The calls of LangChain's OpenAIEmbeddings, with its defaults and without its token arrays."""
    from langchain_openai import OpenAIEmbeddings
    from pydantic import SecretStr

    found: dict[str, tuple[Call, Sequence[str]]] = {}
    for note, options in (("", {}), (", check_embedding_ctx_length=False", {"check_embedding_ctx_length": False})):
        made = OpenAIEmbeddings(model=model, base_url=f"{address}/v1", api_key=SecretStr(KEY), max_retries=0, **options)

        def query(made: Any = made) -> Vectors:
            return [made.embed_query(TEXTS[0])]

        async def query_async(made: Any = made) -> Vectors:
            return [await made.aembed_query(TEXTS[0])]

        found |= {
            f"embed_query{note}": (query, TEXTS[:1]),
            f"embed_documents{note}": (partial(made.embed_documents, TEXTS), TEXTS),
            f"embed_documents(1300 texts){note}": (partial(made.embed_documents, MANY), MANY),
            f"aembed_query{note}": (query_async, TEXTS[:1]),
            f"aembed_documents{note}": (partial(made.aembed_documents, TEXTS), TEXTS),
        }
    return found


def llama_index_calls(address: str, model: str) -> dict[str, tuple[Call, Sequence[str]]]:
    """The calls of LlamaIndex's OpenAIEmbedding."""
    from llama_index.embeddings.openai import OpenAIEmbedding

    made = OpenAIEmbedding(model_name=model, api_base=f"{address}/v1", api_key=KEY, max_retries=0)

    async def text() -> Vectors:
        return [await made.aget_text_embedding(TEXTS[0])]

    async def query() -> Vectors:
        return [await made.aget_query_embedding(TEXTS[0])]

    return {
        "get_text_embedding": (lambda: [made.get_text_embedding(TEXTS[0])], TEXTS[:1]),
        "get_query_embedding": (lambda: [made.get_query_embedding(TEXTS[0])], TEXTS[:1]),
        "get_text_embedding_batch": (lambda: made.get_text_embedding_batch(TEXTS), TEXTS),
        "get_text_embedding_batch(1300 texts)": (lambda: made.get_text_embedding_batch(MANY), MANY),
        "aget_text_embedding": (text, TEXTS[:1]),
        "aget_query_embedding": (query, TEXTS[:1]),
        "aget_text_embedding_batch": (lambda: made.aget_text_embedding_batch(TEXTS), TEXTS),
    }


def litellm_calls(address: str, model: str) -> dict[str, tuple[Call, Sequence[str]]]:
    """The calls of litellm, which takes the service as a provider of OpenAI's kind."""
    import litellm

    options = {"model": f"openai/{model}", "api_base": f"{address}/v1", "api_key": KEY, "max_retries": 0}

    def embed(asked: Any, **more: Any) -> Vectors:
        return [row["embedding"] for row in litellm.embedding(input=asked, **options, **more).data]

    async def embed_async() -> Vectors:
        return [row["embedding"] for row in (await litellm.aembedding(input=TEXTS, **options)).data]

    return {
        "embedding(input=text)": (lambda: embed(TEXTS[0]), TEXTS[:1]),
        "embedding(input=[texts])": (lambda: embed(TEXTS), TEXTS),
        "embedding(encoding_format='float')": (lambda: embed(TEXTS, encoding_format="float"), TEXTS),
        "embedding(encoding_format=None)": (lambda: embed(TEXTS, encoding_format=None), TEXTS),
        "aembedding(input=[texts])": (embed_async, TEXTS),
    }


def haystack_calls(address: str, model: str) -> dict[str, tuple[Call, Sequence[str]]]:
    """The calls of Haystack's embedders of OpenAI's kind."""
    from haystack import Document
    from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
    from haystack.utils import Secret

    options = {"model": model, "api_base_url": f"{address}/v1", "api_key": Secret.from_token(KEY), "max_retries": 0}

    def embed_text() -> Vectors:
        return [OpenAITextEmbedder(**options).run(text=TEXTS[0])["embedding"]]

    def embed_documents(texts: Sequence[str]) -> Vectors:
        embedder = OpenAIDocumentEmbedder(progress_bar=False, **options)
        # Documents with the same content have the same id, which Haystack's stores would take for one.
        documents = [Document(id=str(number), content=text) for number, text in enumerate(texts)]
        return [document.embedding for document in embedder.run(documents=documents)["documents"]]

    return {
        "OpenAITextEmbedder.run": (embed_text, TEXTS[:1]),
        "OpenAIDocumentEmbedder.run": (partial(embed_documents, TEXTS), TEXTS),
        "OpenAIDocumentEmbedder.run(1300 documents)": (partial(embed_documents, MANY), MANY),
    }


def judge(call: Call, expected: Vectors, *, hint: str | None, runner: asyncio.Runner) -> tuple[bool, str]:
    """Make a call.

    Args:
        expected: the vectors that are right.
        hint: words that a refusal must hold, where the client sends what cannot be answered.
        runner: for coroutines; clients keep connections that belong to one event loop.
    Returns:
        Whether the outcome is right, and a remark in one line.
    """
    try:
        found = call()
        vectors: Any = runner.run(found) if asyncio.iscoroutine(found) else found
    except Exception as error:  # noqa: BLE001 (whatever a client makes of an answer is a result here)
        message = " ".join(str(error).split())
        return hint is not None and hint in message, f"{type(error).__name__}: {message}"
    if [len(row) for row in vectors] != [len(row) for row in expected]:
        return False, f"{len(vectors)} vectors came for {len(expected)} texts, or of another length"
    pairs = (pair for rows in zip(vectors, expected, strict=True) for pair in zip(*rows, strict=True))
    difference = max((abs(one - other) for one, other in pairs), default=0.0)
    is_right = difference <= TOLERANCE
    return is_right, "" if is_right else f"the vectors differ by {difference:.2g}"


def main() -> None:
    """Make all calls and print their outcomes."""
    address, model = sys.argv[1:]
    prepare_environment()
    known = {tuple(texts): expect(address, model, texts) for texts in (TEXTS, TEXTS[:1], MANY)} | {(): []}
    clients = {
        "openai": openai_calls,
        "langchain-openai": langchain_calls,
        "llama-index-embeddings-openai": llama_index_calls,
        "litellm": litellm_calls,
        "haystack-ai": haystack_calls,
    }
    for client, calls in clients.items():
        with asyncio.Runner() as runner:
            for name, (call, texts) in calls(address, model).items():
                expected, hint = known[tuple(texts)], _hint(name)
                is_right, note = judge(call, expected, hint=hint, runner=runner)
                row = {"client": f"{client} {version(client)}", "call": name, "is_right": is_right, "note": note}
                print(json.dumps(row), flush=True)


def _hint(name: str) -> str | None:
    """What a refusal must say, of calls that cannot be right."""
    return "/v1" if "without /v1" in name else None


if __name__ == "__main__":
    main()
