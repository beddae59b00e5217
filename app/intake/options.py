"""Reads options that come as strings: the fields of a form, and the parameters of a query."""

from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from flask import Request
from werkzeug.datastructures import MultiDict

from app.errors import InputError
from app.intake.forms import refuse_key


def read_query(request: Request, *, lists: Collection[str] = ()) -> dict[str, str | list[str]]:
    """Read the options in a request's query.

    Args:
        lists: options that may be given several times.
    Raises:
        InputError: an option is given twice, or the query is not UTF-8.
    """
    try:
        # Flask puts U+FFFD in the place of what it cannot decode, and another text would be embedded.
        unquote_to_bytes(request.query_string).decode("utf-8")
    except UnicodeDecodeError as fault:
        raise InputError(
            f"the query has %{fault.object[fault.start]:02X}, which is not UTF-8; encode its values as UTF-8"
        ) from fault
    return read_options(request.args, lists=lists)


def read_options(values: MultiDict[str, str], *, lists: Collection[str] = ()) -> dict[str, str | list[str]]:
    """Read options of a form or a query, each of which is given once, but for those that may be lists.

    Raises:
        InputError: an option that is no list is given twice.
    """
    options: dict[str, str | list[str]] = {}
    for name, given in values.lists():
        if len(given) > 1 and name not in lists:
            raise refuse_key(name, f"is given {len(given)} times")
        options[name] = given if len(given) > 1 else given[0]
    return options
