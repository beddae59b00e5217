"""Settings of a process: checked where they are defined, handed to a child process as one JSON object."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

# For every class of settings: a misspelt name is refused, and nothing changes after the check.
CONFIG = ConfigDict(extra="forbid")


class SettingsError(Exception):
    """Settings are wrong; the message names each wrong one, its value and what it may be."""


class ProcessSettings:
    """Base of pydantic dataclasses that describe a process.

    Their fields are plain values (numbers, strings, paths, tuples of those), so that another class of settings may hold
    them and JSON may carry them.
    """

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Self:
        """Check values that come from outside; numbers may be strings.

        Args:
            values: by name of the field; what is not given has its default.
        Raises:
            SettingsError: a name is unknown, or a value is not allowed.
        """
        try:
            return TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            raise SettingsError(_explain(error)) from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            SettingsError: the text is no JSON object, a name is unknown, or a value is not allowed.
        """
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from error

    def to_json(self) -> str:
        """Write every field as one JSON object."""
        return TypeAdapter(type(self)).dump_json(self).decode()


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Make a validator that accepts these names alone."""

    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"it must be one of {', '.join(names)}")
        return value

    return check


def _explain(error: ValidationError) -> str:
    """Put every problem into one sentence."""
    return "; ".join(map(_describe, error.errors(include_url=False)))


def _describe(problem: Mapping[str, Any]) -> str:
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"there is no setting {name!r}"
    reason = problem["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    return f"{name} is {problem['input']!r}, but {reason}" if name else f"the settings are wrong: {reason}"
