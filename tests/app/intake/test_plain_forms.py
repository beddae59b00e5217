"""Forms without oddities are taken apart by hand; they must come out as werkzeug's decoder reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import RequestError
from app.intake import forms
from app.intake.forms import Form, parse_form, split_plain_form

BOUNDARY = "b"
# Pieces of which contents, headers and what lies between parts are made: line breaks and boundaries, whole and cut.
pieces = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b"--b", b"--b--", b"-", b"b", b" ", b"x", b"\0", b"\r\n--b", b"\r\n\r\n"]),
    max_size=6,
).map(b"".join)
heads = st.sampled_from(
    [
        b'Content-Disposition: form-data; name="pose"; filename="a.pose"',
        b'Content-Disposition: form-data; name="pose"\r\nContent-Type: application/octet-stream',
        b"content-disposition: form-data; name=normalize",
        b"Content-Disposition: form-data; name=\"pose\";\r\n filename*=UTF-8''%C3%A4.pose",
        b"Content-Disposition: form-data",
        b"X: y",
        b"",
        b"\xff",
    ]
)
parts = st.lists(st.tuples(heads, pieces), max_size=4)


def parse(data: bytes) -> Form | str:
    try:
        return parse_form(data, BOUNDARY, ("pose",), max_items=3)
    except RequestError as error:
        return f"{type(error).__name__}: {error}"


def parse_slowly(data: bytes) -> Form | str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms, "split_plain_form", lambda *_: None)
        return parse(data)


def make_form(parts: list[tuple[bytes, bytes]], *, end: bytes = b"\r\n") -> bytes:
    return b"".join(b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts) + b"--b--" + end


@given(parts, st.sampled_from([b"", b"\r\n", b"\n", b"more"]))
def test_a_form_is_what_the_decoder_reads(parts: list[tuple[bytes, bytes]], end: bytes) -> None:
    data = make_form(parts, end=end)
    assert parse(data) == parse_slowly(data)


@given(pieces, parts, pieces, st.integers(0, 200))
def test_so_is_what_is_no_form(before: bytes, parts: list[tuple[bytes, bytes]], after: bytes, cut: int) -> None:
    data = (before + make_form(parts) + after)[:-cut] if cut else before + make_form(parts) + after
    assert parse(data) == parse_slowly(data)


def test_an_ordinary_form_is_taken_apart_and_an_odd_one_is_not() -> None:
    head = b'Content-Disposition: form-data; name="pose"'
    split = split_plain_form(make_form([(head, b"one\r\n--"), (head, b"")]), b"b")
    assert split is not None
    assert split.contents == [b"one\r\n--", b""]
    assert split_plain_form(make_form([(head, b"one\n--b\r\n")]), b"b") is None
    assert split_plain_form(b"preamble\r\n" + make_form([(head, b"one")]), b"b") is None


def test_fields_are_limited_together_in_either_way() -> None:
    field = b'Content-Disposition: form-data; name="normalize"'
    data = make_form([(field, b"x" * (forms.FIELDS_BYTES // 2 + 1))] * 2)
    assert split_plain_form(data, b"b") is not None
    assert "bytes of fields" in str(parse(data))
    assert parse(data) == parse_slowly(data)
    most = make_form([(field, b"x" * (forms.FIELDS_BYTES // 2))] * 2)
    assert "bytes of fields" not in str(parse(most))
    assert parse(most) == parse_slowly(most)


@pytest.mark.parametrize("odd", [False, True])
def test_files_are_copied_out_of_the_body_when_they_are_asked_for(odd: bool) -> None:
    head = b'Content-Disposition: form-data; name="pose"'
    data = (b"preamble\r\n" if odd else b"") + make_form([(head, b"one"), (head, b"two"), (head, b"")])
    form = parse(data)
    assert isinstance(form, Form)
    assert list(form.files) == form.files[:] == [b"one", b"two", b""]
    assert [type(file) for file in form.files] == [bytes] * 3
    assert form.files[-2] == b"two"
