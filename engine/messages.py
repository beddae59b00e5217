"""What engine and clients send each other: a kind, a JSON header, and arrays as raw bytes. Nothing is unpickled."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from engine import errors as engine_errors
from engine.errors import EngineError
from engine.interface import EmbedRequest, EmbedResult, Readiness
from models import errors as model_errors
from models.catalog import Tower
from models.status import ModelStatus
from processes import errors as process_errors
from processes.error_messages import ErrorCodec
from processes.errors import MessageError
from processes.json_messages import parse_object

# Client to engine.
EMBED, CANCEL, HELLO = b"E", b"C", b"H"
# Both ways: the request for the engine's counters, and the answer.
METRICS = b"M"
# Engine to client.
RESULT, REFUSAL, STATUS = b"R", b"X", b"S"

Frames = list[bytes]
_ITEM_DTYPES: Mapping[Tower, npt.DTypeLike] = {"text": np.int32, "pose": np.float32}
_ERRORS = ErrorCodec[Exception](process_errors, engine_errors, model_errors, fallback=EngineError)


@dataclass(frozen=True)
class EngineStatus:
    """What an engine sends to every client whenever it changes, and after every greeting."""

    default_model: str
    readiness: Readiness
    models: Mapping[str, ModelStatus]


def pack_embed(number: int, request: EmbedRequest) -> Frames:
    """Pack a request.

    Args:
        number: by which the client recognizes the answer.
    """
    items = [np.ascontiguousarray(item, dtype=_ITEM_DTYPES[request.tower]) for item in request.items]
    header = {
        "number": number,
        "model": request.model,
        "tower": request.tower,
        "deadline": request.deadline,
        "lengths": [len(item) for item in items],
        "width": items[0].shape[1] if items and request.tower == "pose" else 1,
    }
    return [EMBED, orjson.dumps(header), b"".join(item.tobytes() for item in items)]


def unpack_embed(frames: Sequence[bytes]) -> tuple[int, EmbedRequest]:
    """Read a request.

    Returns:
        the client's number for it, and the request; its items are int32 (tokens,) or float32 (frames, features).
    Raises:
        MessageError: the frames are not what pack_embed makes.
    """
    header = unpack_header(frames, 3)
    try:
        items = _split_items(header["tower"], frames[2], lengths=header["lengths"], width=header["width"])
        number, model, tower, deadline = (header[key] for key in ("number", "model", "tower", "deadline"))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise MessageError(f"an embed message is malformed ({type(error).__name__}: {error})") from error
    if not isinstance(number, int) or not isinstance(deadline, float | int | None):
        raise MessageError(f"an embed message is malformed (number {number!r}, deadline {deadline!r})")
    return number, EmbedRequest(str(model), tower, items, deadline)


def _split_items(tower: Tower, data: bytes, *, lengths: list[int], width: int) -> list[npt.NDArray[Any]]:
    flat = np.frombuffer(data, dtype=_ITEM_DTYPES[tower])
    ends = np.cumsum(lengths, dtype=np.int64) * width
    if min(lengths) < 1 or width < 1 or ends[-1] != len(flat):
        raise ValueError(f"{len(flat)} numbers for lengths {lengths[:8]}… of width {width}")
    items = np.split(flat, ends[:-1])
    return [item.reshape(-1, width) for item in items] if tower == "pose" else items  # (frames, features)


def unpack_header(frames: Sequence[bytes], count: int) -> dict[str, Any]:
    """Read the JSON header of a message of `count` frames.

    Raises:
        MessageError: it has another number of frames, or no JSON object.
    """
    if len(frames) != count:
        raise MessageError(f"a message of {len(frames)} frames, {count} expected")
    return parse_object(frames[1])


def pack_cancel(number: int) -> Frames:
    """Pack that the client needs no answer to a request any more."""
    return [CANCEL, orjson.dumps({"number": number})]


def pack_metrics(number: int, exposition: str = "") -> Frames:
    """Pack the request for the engine's counters, or the answer.

    Args:
        number: by which the client recognizes the answer.
        exposition: the counters in Prometheus' text format; empty in the request.
    """
    return [METRICS, orjson.dumps({"number": number, "exposition": exposition})]


def unpack_metrics(frames: Sequence[bytes]) -> tuple[int, str]:
    """Read the request for the engine's counters, or the answer.

    Returns:
        the client's number for it, and the counters in Prometheus' text format.
    Raises:
        MessageError: the frames are not what pack_metrics makes.
    """
    header = unpack_header(frames, 2)
    try:
        return int(header["number"]), str(header["exposition"])
    except (KeyError, TypeError, ValueError) as error:
        raise MessageError(f"a metrics message is malformed ({type(error).__name__}: {error})") from error


def pack_hello() -> Frames:
    """Pack the greeting by which an engine knows that a client lives."""
    return [HELLO, b"{}"]


def pack_result(number: int, result: EmbedResult) -> Frames:
    """Pack an answer."""
    header = {
        "number": number,
        "shape": list(result.embeddings.shape),
        "failures": {str(index): _ERRORS.pack(error) for index, error in result.failures.items()},
        "queue_s": result.queue_s,
        "forward_s": result.forward_s,
        "cached": result.cached,
        "digest": result.digest,
        "dtype": result.dtype,
    }
    return [RESULT, orjson.dumps(header), np.ascontiguousarray(result.embeddings, dtype=np.float32).tobytes()]


def unpack_result(frames: Sequence[bytes]) -> tuple[int, EmbedResult]:
    """Read an answer.

    Returns:
        the client's number for the request, and the answer.
    Raises:
        MessageError: the frames are not what pack_result makes.
    """
    header = unpack_header(frames, 3)
    try:
        # A copy: the frame's memory is read-only and shared with the socket's buffers.
        embeddings = np.frombuffer(frames[2], dtype=np.float32).reshape(header["shape"]).copy()
        failures = {int(index): _ERRORS.unpack(packed) for index, packed in header["failures"].items()}
        timings = {key: header[key] for key in ("queue_s", "forward_s", "cached", "digest", "dtype")}
        return int(header["number"]), EmbedResult(embeddings, failures, **timings)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MessageError(f"a result message is malformed ({type(error).__name__}: {error})") from error


def pack_refusal(number: int, error: Exception) -> Frames:
    """Pack why there is no answer."""
    return [REFUSAL, orjson.dumps({"number": number, "error": _ERRORS.pack(error)})]


def unpack_refusal(frames: Sequence[bytes]) -> tuple[int, Exception]:
    """Read why there is no answer.

    Returns:
        the client's number for the request, and the error, of the class it had.
    Raises:
        MessageError: the frames are not what pack_refusal makes.
    """
    header = unpack_header(frames, 2)
    try:
        return int(header["number"]), _ERRORS.unpack(header["error"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MessageError(f"a refusal message is malformed ({type(error).__name__}: {error})") from error


def pack_status(status: EngineStatus) -> Frames:
    """Pack the engine's status."""
    return [STATUS, orjson.dumps(asdict(status))]


def unpack_status(frames: Sequence[bytes]) -> EngineStatus:
    """Read an engine's status.

    Raises:
        MessageError: the frames are not what pack_status makes.
    """
    header = unpack_header(frames, 2)
    try:
        models = {name: ModelStatus(**fields) for name, fields in header["models"].items()}
        return EngineStatus(header["default_model"], Readiness(**header["readiness"]), models)
    except (KeyError, TypeError, AttributeError) as error:
        raise MessageError(f"a status message is malformed ({type(error).__name__}: {error})") from error
