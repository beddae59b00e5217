"""A missing package of an extra is an error that says how to install it."""

import sys

import pytest

from processes.packages import explain_missing


def test_a_missing_package_is_the_error_of_its_room(monkeypatch):
    monkeypatch.setitem(sys.modules, "decimal", None)
    with (
        pytest.raises(LookupError, match=r"^counting needs .*decimal.*--requirement extra.txt --constraint constr"),
        explain_missing("counting", "extra.txt", error=LookupError),
    ):
        import decimal  # noqa: F401


def test_an_extra_of_the_service_can_be_built_into_its_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "decimal", None)
    with (
        pytest.raises(LookupError, match=r"docker build --build-arg EXTRAS=postgres$"),
        explain_missing("a store", "requirements-postgres.txt", error=LookupError),
    ):
        import decimal  # noqa: F401


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), explain_missing("counting", "extra.txt", error=LookupError):
        1 / 0  # noqa: B018
