"""Vectors into what goes over the wire: unit length, base64, .npy, JSON."""

import io
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pybase64
from flask import Response

from app.intake.schemas import EncodingFormat

Floats = npt.NDArray[np.float32]
NPY = "application/x-npy"


def encoded(values: Floats, encoding: EncodingFormat, *, left_out: Collection[int] = ()) -> Any:
    """Rows as JSON has them: lists of numbers or base64, None for those left out."""
    if encoding == "float":
        if not left_out:
            return np.ascontiguousarray(values)
        return [None if index in left_out else row for index, row in enumerate(values)]
    rows = values.astype("<f4" if encoding == "base64" else "<f2")
    return [None if index in left_out else pybase64.b64encode_as_string(row) for index, row in enumerate(rows)]


def npy_answer(values: Floats, *, left_out: Collection[int], headers: Mapping[str, str]) -> Response:
    """Answer a raw .npy array, rows × dimensions; rows left out are NaN."""
    if left_out:
        values = values.copy()
        values[list(left_out)] = np.nan
    file = io.BytesIO()
    np.save(file, values.astype("<f4"), allow_pickle=False)
    return Response(file.getvalue(), mimetype=NPY, headers=dict(headers))


def json_answer(content: Mapping[str, Any], *, status: int = 200) -> Response:
    """Answer JSON; numpy arrays may be anywhere in it, and keys whose value is None must already be gone."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status=status, mimetype="application/json")
