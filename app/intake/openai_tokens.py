"""Token arrays, which some of OpenAI's clients send in place of texts: decoded where OpenAI's tokenizer is installed.

`pip install tiktoken`, and TIKTOKEN_CACHE_DIR naming a folder that holds its table, switch this on. Nothing is ever
fetched while a request waits.
"""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from app.errors import InputError, Problem

# What OpenAI's embedding models use, and LangChain for the names of models that it does not know.
ENCODING = "cl100k_base"
# The name under which tiktoken keeps this encoding's table in TIKTOKEN_CACHE_DIR: the SHA-1 of the table's address.
TABLE = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
_REFUSAL = (
    "token arrays belong to another model's tokenizer and are refused here; send texts. LangChain's OpenAIEmbeddings "
    "makes token arrays of texts unless it has check_embedding_ctx_length=False"
)


class Decoder(Protocol):
    """What is used of tiktoken's Encoding."""

    def decode(self, tokens: Sequence[int], errors: str = "replace") -> str:
        """Decode tokens."""


def decode_tokens(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace the token arrays of a request by the texts that they stand for.

    Args:
        document: a body of POST /v1/embeddings. One that holds no token arrays is returned as it is.
    Raises:
        InputError: tokens cannot be decoded here, or they are no tokens of this encoding.
    """
    given = document.get("input")
    if not isinstance(given, list) or not given or not isinstance(given[0], int | list):
        return document
    decoder = find_decoder()
    if decoder is None:
        raise _refuse("/input", _REFUSAL)
    if isinstance(given[0], int):
        return {**document, "input": _decode(decoder, given, "/input")}
    texts = [_decode(decoder, tokens, f"/input/{index}") for index, tokens in enumerate(given)]
    return {**document, "input": texts}


@lru_cache(maxsize=1)
def find_decoder() -> Decoder | None:
    """Find OpenAI's tokenizer; None where it, or its table, is not on this machine."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR")
    # Without its table in the folder, tiktoken would fetch it.
    if not folder or not (Path(folder) / TABLE).is_file() or find_spec("tiktoken") is None:
        return None
    import tiktoken  # not at the top: few services have it

    decoder: Decoder = tiktoken.get_encoding(ENCODING)
    return decoder


def _decode(decoder: Decoder, tokens: Any, pointer: str) -> str:
    if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
        raise _refuse(pointer, "texts, token arrays and other values cannot be mixed")
    try:
        return decoder.decode(tokens)
    except (KeyError, OverflowError) as error:
        raise _refuse(pointer, f"not every number is a token of {ENCODING}") from error


def _refuse(pointer: str, message: str) -> InputError:
    return InputError(f"{pointer}: {message}", problems=(Problem(pointer, message),))
