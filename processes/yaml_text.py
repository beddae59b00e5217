"""YAML from files that people write, read with one error for all that can be wrong with it."""

from typing import Any

import yaml

# What PyYAML raises on values that it recognizes but cannot build: a date in the 13th month, an empty `!!int`, or an
# integer of more digits than Python reads.
_BUGS = (ValueError, LookupError, ArithmeticError, TypeError, AttributeError)


class YamlError(ValueError):
    """A text is not YAML, or a value in it cannot be built."""


def parse_yaml(text: str) -> Any:
    """Parse YAML into plain values; nothing in it is executed.

    Raises:
        YamlError: the text is not YAML, nests too deeply, or holds a value that no number or date can have.
    """
    try:
        return yaml.safe_load(text)
    except (RecursionError, yaml.YAMLError, *_BUGS) as error:
        raise YamlError(f"{error}") from error
