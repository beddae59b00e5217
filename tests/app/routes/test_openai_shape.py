"""What OpenAI's clients may send beside texts: token arrays, and keys of this service."""

from __future__ import annotations

import pytest
import tiktoken

from app.intake import openai_tokens

OPENAI = "/v1/embeddings"


@pytest.fixture
def encoding(monkeypatch) -> tiktoken.Encoding:
    """OpenAI's tokenizer with a token for each byte, and one for `house`."""
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"house": 256}
    made = tiktoken.Encoding("bytes", pat_str=r"house|.", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(openai_tokens, "find_decoder", lambda: made)
    return made


def vectors(answer) -> list[list[float]]:
    assert answer.status_code == 200, answer.text
    return [row["embedding"] for row in answer.json["data"]]


@pytest.mark.parametrize("text", ["<en> <ase> house", "Ü", "house" * 4])
def test_token_arrays_are_the_texts_they_were_made_of(client, encoding, text):
    tokens = encoding.encode(text)
    expected = vectors(client.post(OPENAI, json={"input": text}))
    assert vectors(client.post(OPENAI, json={"input": tokens})) == expected
    assert vectors(client.post(OPENAI, json={"input": [tokens, tokens]})) == expected * 2


def test_a_long_token_array_is_one_text(client, encoding):
    tokens = encoding.encode("house " * 2000)
    assert len(tokens) > 2048
    answer = client.post(OPENAI, json={"input": tokens, "truncate": True})
    assert answer.status_code == 422
    assert answer.json["code"] == "text_too_long"


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ([999], "/input"),
        ([-1], "/input"),
        ([2**40], "/input"),
        ([104, "house"], "/input"),
        ([True], "/input"),
        ([[104], [999]], "/input/1"),
        ([[104], "house"], "/input/1"),
        ([[104], [1.5]], "/input/1"),
    ],
)
def test_what_are_no_tokens_is_refused_with_its_place(client, encoding, given, pointer):
    answer = client.post(OPENAI, json={"input": given})
    assert answer.status_code == 422
    assert [place["pointer"] for place in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize("cached", ["nowhere", "empty folder", "unset"])
def test_without_the_table_nothing_is_fetched(client, monkeypatch, tmp_path, cached):
    def fetch(name):
        raise AssertionError("the tokenizer was asked for its table")

    monkeypatch.setattr(tiktoken, "get_encoding", fetch)
    if cached == "unset":
        monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    else:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / ("none" if cached == "nowhere" else "")))
    openai_tokens.find_decoder.cache_clear()
    answer = client.post(OPENAI, json={"input": [101, 102]})
    assert answer.status_code == 422
    assert "check_embedding_ctx_length=False" in answer.json["detail"]


def test_the_table_in_the_folder_switches_decoding_on(monkeypatch, tmp_path):
    (tmp_path / openai_tokens.TABLE).write_bytes(b"")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: name)
    openai_tokens.find_decoder.cache_clear()
    assert openai_tokens.find_decoder() == "cl100k_base"
    openai_tokens.find_decoder.cache_clear()


def test_the_file_s_name_is_the_one_that_tiktoken_gives_it(monkeypatch):
    """Of tiktoken's own table of encodings, without fetching anything."""
    import hashlib

    from tiktoken_ext import openai_public

    asked = []
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda address, **_: asked.append(address) or {})
    getattr(openai_public, openai_tokens.ENCODING)()
    assert hashlib.sha1(asked[0].encode()).hexdigest() == openai_tokens.TABLE


def test_languages_make_prompts_as_elsewhere(client):
    given = {"input": ["house"], "sign_language": "asl", "spoken_language": "de"}
    answer = client.post(OPENAI, json=given)
    assert answer.json["prompts"] == ["<de> <ase> house"]
    assert vectors(answer) == vectors(client.post(OPENAI, json={"input": ["<de> <ase> house"]}))
    assert client.post(OPENAI, json={"input": "house", "spoken_language": "de"}).status_code == 422
