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
from processes.streams import Buffer

# Client to engine.
EMBED, CANCEL, HELLO = b"E", b"C", b"H"
# Both ways: the request for the engine's counters, and the answer.
METRICS = b"M"
# Engine to client.
RESULTS, REFUSAL, STATUS = b"R", b"X", b"S"

_ITEM_DTYPES: Mapping[Tower, npt.DTypeLike] = {"text": np.int32, "pose": np.float32}
_ERRORS = ErrorCodec[Exception](process_errors, engine_errors, model_errors, fallback=EngineError)


@dataclass(frozen=True)
class EngineStatus:
    """What an engine sends to every client whenever it changes, and after every greeting."""

    default_model: str
    readiness: Readiness
    models: Mapping[str, ModelStatus]


def pack_embed(number: int, request: EmbedRequest) -> list[Buffer]:
    """Pack a request.

    Args:
        number: by which the client recognizes the answer.
    """
    dtype = _ITEM_DTYPES[request.tower]
    arrays: Sequence[npt.NDArray[Any]] = request.items
    lengths = request.lengths if request.lengths is not None else np.array([len(item) for item in arrays])
    width = arrays[0].shape[1] if len(arrays) and request.tower == "pose" else 1
    if request.tower == "text" and len(arrays) > 1:
        arrays = [np.concatenate(arrays)]
    header = {
        "number": number,
        "model": request.model,
        "tower": request.tower,
        "deadline": request.deadline,
        "width": width,
    }
    if request.request_id is not None:
        header["id"] = request.request_id
    if request.traceparent is not None:
        header["trace"] = request.traceparent
    # Clips stay apart, because joining the megabytes of many would cost more than a frame for each does.
    data = [np.ascontiguousarray(array, dtype=dtype).data for array in arrays]
    return [EMBED, orjson.dumps(header), lengths.astype(np.int64).data, *data]


def unpack_embed(frames: Sequence[Buffer]) -> tuple[int, EmbedRequest]:
    """Read a request.

    Returns:
        the client's number for it, and the request; its arrays are int32 (tokens,) or float32 (frames, features), and
        share the frames' memory.
    Raises:
        MessageError: the frames are not what pack_embed makes.
    """
    if len(frames) < 3:
        raise MessageError(f"a message of {len(frames)} frames, 3 or more expected")
    header = parse_object(frames[1])
    try:
        number, model, tower, deadline, width = (
            header[key] for key in ("number", "model", "tower", "deadline", "width")
        )
        lengths = np.frombuffer(frames[2], dtype=np.int64)
        arrays = [_read_array(tower, frame, width) for frame in frames[3:]]
        _check_lengths(lengths.tolist(), arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise MessageError(f"an embed message is malformed ({type(error).__name__}: {error})") from error
    if not isinstance(number, int) or not isinstance(deadline, float | int | None):
        raise MessageError(f"an embed message is malformed (number {number!r}, deadline {deadline!r})")
    request_id, traceparent = header.get("id"), header.get("trace")
    return number, EmbedRequest(
        str(model),
        tower,
        arrays,
        deadline,
        lengths,
        request_id if isinstance(request_id, str) else None,
        traceparent if isinstance(traceparent, str) else None,
    )


def _read_array(tower: Tower, data: Buffer, width: int) -> npt.NDArray[Any]:
    flat = np.frombuffer(data, dtype=_ITEM_DTYPES[tower])
    if tower == "text":
        return flat
    if width < 1:
        raise ValueError(f"clips of {width} features")
    return flat.reshape(-1, width)  # (frames, features)


def _check_lengths(lengths: Sequence[int], arrays: Sequence[npt.NDArray[Any]]) -> None:
    # A list, because Python adds up a few numbers sooner than NumPy begins to.
    if not lengths or min(lengths) < 1 or sum(lengths) != sum(map(len, arrays)):
        raise ValueError(f"{sum(map(len, arrays))} positions for lengths {lengths[:8]}")


def unpack_header(frames: Sequence[Buffer], count: int) -> dict[str, Any]:
    """Read the JSON header of a message of `count` frames.

    Raises:
        MessageError: it has another number of frames, or no JSON object.
    """
    if len(frames) != count:
        raise MessageError(f"a message of {len(frames)} frames, {count} expected")
    return parse_object(frames[1])


def pack_cancel(number: int) -> list[Buffer]:
    """Pack that the client needs no answer to a request any more."""
    return [CANCEL, orjson.dumps({"number": number})]


def pack_metrics(number: int, exposition: str = "") -> list[Buffer]:
    """Pack the request for the engine's counters, or the answer.

    Args:
        number: by which the client recognizes the answer.
        exposition: the counters in Prometheus' text format; empty in the request.
    """
    return [METRICS, orjson.dumps({"number": number, "exposition": exposition})]


def unpack_metrics(frames: Sequence[Buffer]) -> tuple[int, str]:
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


def pack_hello() -> list[Buffer]:
    """Pack the greeting by which an engine knows that a client lives."""
    return [HELLO, b"{}"]


def pack_results(results: Sequence[tuple[int, EmbedResult]]) -> list[Buffer]:
    """Pack answers, each with the client's number for its request; they share one array."""
    rows = [
        (
            number,
            result.embeddings.shape,
            {str(index): _ERRORS.pack(error) for index, error in result.failures.items()},
            result.queue_s,
            result.forward_s,
            result.cached,
            result.digest,
            result.dtype,
            result.traced,
        )
        for number, result in results
    ]
    vectors = [np.ascontiguousarray(result.embeddings, dtype=np.float32).data for _, result in results]
    return [RESULTS, orjson.dumps({"answers": rows}), *vectors]


def unpack_results(frames: Sequence[Buffer]) -> list[tuple[int, EmbedResult]]:
    """Read answers.

    Returns:
        the client's number for each request, and its answer, whose vectors share the frames' memory.
    Raises:
        MessageError: the frames are not what pack_results makes.
    """
    if len(frames) < 2:
        raise MessageError(f"a message of {len(frames)} frames, 2 or more expected")
    try:
        return [
            _read_answer(row, vectors)
            for row, vectors in zip(parse_object(frames[1])["answers"], frames[2:], strict=True)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MessageError(f"a message of answers is malformed ({type(error).__name__}: {error})") from error


def _read_answer(row: Sequence[Any], vectors: Buffer) -> tuple[int, EmbedResult]:
    number, shape, packed, *facts = row
    embeddings = np.frombuffer(vectors, dtype=np.float32).reshape(shape)
    failures: Mapping[int, EngineError] = {
        int(index): _ERRORS.unpack(error)  # type: ignore[misc]  # failures are engine errors
        for index, error in packed.items()
    }
    return int(number), EmbedResult(embeddings, failures, *facts)


def pack_refusal(number: int, error: Exception) -> list[Buffer]:
    """Pack why there is no answer."""
    return [REFUSAL, orjson.dumps({"number": number, "error": _ERRORS.pack(error)})]


def unpack_refusal(frames: Sequence[Buffer]) -> tuple[int, Exception]:
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


def pack_status(status: EngineStatus) -> list[Buffer]:
    """Pack the engine's status."""
    return [STATUS, orjson.dumps(asdict(status))]


def unpack_status(frames: Sequence[Buffer]) -> EngineStatus:
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
