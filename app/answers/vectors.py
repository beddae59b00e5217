"""Writes vectors into answers: as numbers or base64 in JSON, or as a raw .npy array."""

import io
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pybase64
from flask import Request, Response
from werkzeug.datastructures import Headers

from app.intake.schemas import EncodingFormat
from models.vectors import Vectors

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

NPY = "application/x-npy"


class WholeAnswer(Response):
    """An answer with a whole body and no address in its head. Flask would look for one in each answer."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:  # noqa: ARG002
        """Return the head as it is."""
        return self.headers


def encode_rows(values: Vectors, encoding: EncodingFormat, *, left_out: Collection[int] = ()) -> Any:
    """Write vectors as JSON has them.

    Args:
        values: float32 (rows, dimensions).
        left_out: indexes of rows that become null.
    Returns:
        A list of base64 strings or of arrays, or the array itself when no row is left out; for `answer_json`.
    """
    if encoding == "float":
        if not left_out:
            return np.ascontiguousarray(values)
        return [None if index in left_out else row for index, row in enumerate(values)]
    rows = values.astype("<f4" if encoding == "base64" else "<f2")
    return [None if index in left_out else pybase64.b64encode_as_string(row) for index, row in enumerate(rows)]


def wants_npy(request: Request) -> bool:
    """Check whether a client wants vectors as a raw .npy array rather than as JSON."""
    # Most clients send one of these, and parsing them takes as long as finding the model.
    if request.environ.get("HTTP_ACCEPT", "*/*") in ("*/*", "application/json"):
        return False
    return request.accept_mimetypes.best_match(["application/json", NPY]) == NPY


def answer_npy(values: Vectors, *, left_out: Collection[int], headers: Mapping[str, str]) -> Response:
    """Answer a raw .npy array.

    Args:
        values: float32 (rows, dimensions).
        left_out: indexes of rows that become NaN.
    """
    if left_out:
        values = values.copy()
        values[list(left_out)] = np.nan
    file = io.BytesIO()
    np.save(file, values.astype("<f4"), allow_pickle=False)
    return WholeAnswer(file.getvalue(), mimetype=NPY, headers=dict(headers))


def answer_json(content: Mapping[str, Any]) -> Response:
    """Answer JSON.

    Args:
        content: may hold NumPy arrays at any depth. An optional key without a value must be left out, not set to None.
    """
    return WholeAnswer(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), mimetype="application/json")
