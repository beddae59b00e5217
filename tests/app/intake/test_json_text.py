"""What is no JSON is called what it is, in words of ours."""

from __future__ import annotations

import orjson
import pytest

from app.errors import NotJsonError
from app.intake.json_text import explain_fault, parse_json


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"[" * 1000, r"the line is not JSON: its first (\d+) bytes open \1 lists and objects that they do not close"),
        (b'{"]": "}"' + b',"a":[' + b"[" * 1000, "lists and objects that they do not close; close each"),
        (
            b"[" * 2000,
            "the line is not JSON: its lists and objects are nested more than 1024 deep; send them less deep",
        ),
        (b"[" * 2000 + b"]" * 2000, "nested more than 1024 deep"),
        (b'{"a":' * 2000 + b"1" + b"}" * 2000, "nested more than 1024 deep"),
        (b"", "the line is not JSON: it is empty"),
        (b'{"a": "\xff"}', r"its byte 7 \(0xFF\) is not UTF-8; JSON is sent as UTF-8"),
        (b'{"a": 1,}', "trailing comma is not allowed: line 1 column 8"),
        (b"[1]", "the line is a JSON list; send a JSON object"),
    ],
)
def test_what_is_no_json_object_is_explained(text, fault):
    with pytest.raises(NotJsonError, match=fault):
        parse_json(text, "the line")


def test_lists_may_be_nested_as_deep_as_orjson_reads_them():
    assert parse_json(b'{"a":' + b"[" * 1023 + b"]" * 1023 + b"}", "the line")


def test_a_lack_of_memory_is_not_blamed_on_the_client():
    fault = orjson.JSONDecodeError("failed to allocate memory", '{"a": [1, 2, 3]}', 9)
    with pytest.raises(MemoryError):
        explain_fault(b'{"a": [1, 2, 3]}', fault)
