"""YAML of people's files: plain values, or one error."""

import pytest

from processes.yaml_text import YamlError, parse_yaml


def test_plain_values():
    assert parse_yaml("a: [1, 2.5, null, yes]\nb: {c: text}") == {"a": [1, 2.5, None, True], "b": {"c": "text"}}
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    "text", ["{a", "a: 2024-13-45", "!!int ''", "a: " + "9" * 5000, "[" * 5000, "!!python/object:os.system {}", "\0"]
)
def test_whatever_is_wrong_is_one_error(text):
    with pytest.raises(YamlError):
        parse_yaml(text)
