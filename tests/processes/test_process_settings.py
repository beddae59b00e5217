"""Settings of processes: one object of JSON, checked where it is read."""

from typing import Annotated

import pytest
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from processes.settings import CONFIG, ProcessSettings, SettingsError, one_of


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Inner(ProcessSettings):
    seconds: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Outer(ProcessSettings):
    color: Annotated[str, AfterValidator(one_of(("red", "green")))] = "red"
    count: Annotated[int, Field(ge=1)] | None = None
    inner: Inner = Inner()


def test_settings_come_back_from_json_as_they_were() -> None:
    settings = Outer(color="green", count=3, inner=Inner(seconds=0.5))
    assert Outer.from_json(settings.to_json()) == settings
    assert Outer.from_json("{}") == Outer()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"color": "blue"}', "color is 'blue', but it must be one of red, green"),
        ('{"colour": "red"}', "there is no setting 'colour'"),
        ('{"count": 0}', "count is 0, but it should be greater than or equal to 1"),
        ('{"inner": {"seconds": -1}}', "inner.seconds is -1, but it should be greater than 0"),
        ('{"inner": {"s": 1}}', "there is no setting 'inner.s'"),
        ('{"color": "blue", "count": 0}', "color is .*; count is "),
        ("[]", "the settings are wrong: "),
        ("{", "the settings are wrong: Invalid JSON"),
    ],
)
def test_the_message_names_the_setting_its_value_and_the_limit(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{message}") as refused:
        Outer.from_json(text)
    assert "\n" not in str(refused.value)


def test_values_from_a_command_line_may_be_strings() -> None:
    assert Outer.from_values({"count": "3"}) == Outer(count=3)
    with pytest.raises(SettingsError, match="count is 'three', but it should be a valid integer"):
        Outer.from_values({"count": "three"})
    with pytest.raises(SettingsError, match="there is no setting 'cuont'"):
        Outer.from_values({"cuont": "3"})
