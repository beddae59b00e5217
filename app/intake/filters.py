"""Reads the filter of a request. A sign language is found whatever its entries call it: `ase`, `asl` or its name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from models.languages import read_languages
from search.filters import Filter, parse_filter


def read_filter(document: Mapping[str, Any]) -> Filter:
    """Read a filter from a JSON object.

    Raises:
        FilterError: a key or a value is not understood.
    """
    found = parse_filter(document)
    return replace(
        found,
        conditions=tuple(
            replace(condition, values=tuple(dict.fromkeys(_list_names(condition.values))))
            if condition.field == "sign_language"
            else condition
            for condition in found.conditions
        ),
    )


def _list_names(words: Iterable[str]) -> Iterator[str]:
    """List each word, and every other tag, alias and name of the same language; entries keep the one that was sent."""
    for word in words:
        yield word
        language = read_languages().find(word)
        if language is not None:
            short = (language.tag, *language.aliases)
            yield from (*short, *(one.upper() for one in short), language.name)
