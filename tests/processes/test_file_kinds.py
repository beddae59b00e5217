"""Files of every kind are called what they are, whatever they are sent as."""

from __future__ import annotations

import random

import pytest

from processes.file_kinds import recognize
from tests.processes.make_files import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_called_what_it_is(kind: str) -> None:
    make, family, name = KINDS[kind]
    found = recognize(make())
    assert (found.family, name in found.name) == (family, True), found


def test_noise_is_rarely_taken_for_something() -> None:
    noise = random.Random(1)
    found = [recognize(noise.randbytes(noise.randrange(1, 3000))) for _ in range(2000)]
    assert sum(kind.family == "unknown" for kind in found) > 1960


@pytest.mark.parametrize("cut", range(1, 64))
def test_beginnings_of_every_kind_are_called_something(cut: int) -> None:
    for make, _, _ in KINDS.values():
        found = recognize(make()[:cut])
        assert found.name
        assert "\n" not in found.name
