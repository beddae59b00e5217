"""Filters of entries: read from JSON once, then used by every store.

A filter is an object, and an entry must fit all its keys: {"sign_language": "ase", "gloss": ["A", "B"]}. A value means
equal, a list means any of these, {"not": value or list} means none of these. Keys are id, kind, gloss, sign_language,
spoken_language, source, signature and tags.NAME; {"created": {"from": time, "to": time}} takes times of ISO 8601, the
first inclusive and the second exclusive.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from search.entries import Tag
from search.errors import FilterError

FIELDS = ("id", "kind", "gloss", "sign_language", "spoken_language", "source", "signature")
TAG_PREFIX = "tags."
# Each value of a filter is compared with each entry.
_MAX_VALUES = 1000
_MAX_CONDITIONS = 16


@dataclass(frozen=True)
class Condition:
    """One condition on the entries.

    Attributes:
        field: one of FIELDS, or "tags".
        values: texts; of tags, labels as `make_tag_label` writes them. An entry fits if it has one of them.
        negated: an entry fits if it has none of them.
    """

    field: str
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True)
class Filter:
    """Conditions that an entry must all fit.

    Attributes:
        created_from: earliest time of creation; None: any.
        created_to: time before which the entry was created; None: any.
    """

    conditions: tuple[Condition, ...] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every entry fits."""
        return not self.conditions and self.created_from is None and self.created_to is None


EVERYTHING = Filter()


def make_tag_label(name: str, value: Tag) -> str:
    """Write a tag as one text, by which stores filter. A number and its text are different values."""
    if isinstance(value, str):
        return f"{name}=s:{value}"
    if isinstance(value, bool):
        return f"{name}=b:{value}"
    # 3 and 3.0 are one number in JSON. Beyond 2^53 floats leave whole numbers out.
    return f"{name}=n:{float(value) if abs(value) < 2**53 else value}"


def parse_filter(document: Mapping[str, Any]) -> Filter:
    """Read a filter from a JSON object.

    Raises:
        FilterError: a key or a value is not understood.
    """
    if len(document) > _MAX_CONDITIONS:
        raise FilterError(f"{len(document)} conditions; a filter may have {_MAX_CONDITIONS}")
    conditions: list[Condition] = []
    times: dict[str, datetime] = {}
    for key, value in document.items():
        if key == "created":
            times = _parse_times(value)
        elif key in FIELDS or (key.startswith(TAG_PREFIX) and len(key) > len(TAG_PREFIX)):
            conditions.append(_parse_condition(key, value))
        else:
            raise FilterError(f"{key[:64]!r} cannot be filtered by; use {', '.join(FIELDS)}, created or tags.NAME")
    return Filter(tuple(conditions), times.get("from"), times.get("to"))


def _parse_condition(key: str, value: Any) -> Condition:
    negated = isinstance(value, Mapping)
    if negated:
        if set(value) != {"not"}:
            raise FilterError(f'{key}: an object must be {{"not": value}}')
        value = value["not"]
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= _MAX_VALUES:
        raise FilterError(f"{key}: {len(values)} values; there may be 1 to {_MAX_VALUES}")
    if key in FIELDS:
        if not all(isinstance(one, str) for one in values):
            raise FilterError(f"{key}: values must be texts")
        return Condition(key, tuple(values), negated)
    name = key.removeprefix(TAG_PREFIX)
    if "=" in name:  # its label could be that of another tag
        raise FilterError(f"{key[:64]}: no tag has an equals sign in its name; leave it out")
    if not all(isinstance(one, Tag) for one in values):
        raise FilterError(f"{key}: values must be texts, numbers or booleans")
    return Condition("tags", tuple(make_tag_label(name, one) for one in values), negated)


def _parse_times(value: Any) -> dict[str, datetime]:
    if not isinstance(value, Mapping) or not value or not set(value) <= {"from", "to"}:
        raise FilterError('created: send {"from": time} or {"to": time} or both')
    times = {}
    for name, text in value.items():
        try:
            time = datetime.fromisoformat(text)
            times[name] = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except (ValueError, TypeError, OverflowError) as error:  # in UTC, the first and the last day may lie outside
            raise FilterError(f"created: {name} must be a time such as 2026-11-26T12:00:00Z") from error
    return times
