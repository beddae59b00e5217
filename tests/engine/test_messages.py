"""What is packed is what is unpacked, and nothing else is unpacked at all."""

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import messages
from engine.errors import EngineError, ItemFailedError
from engine.interface import EmbedRequest, EmbedResult, Readiness
from models.batching import cut_into_items
from models.errors import UnknownModelError, WeightsMissingError
from models.status import ModelStatus
from processes.errors import MessageError, QueueFullError

UNPACKERS = (
    messages.unpack_embed,
    messages.unpack_results,
    messages.unpack_refusal,
    messages.unpack_status,
    messages.unpack_metrics,
)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5), st.booleans())
def test_requests_come_back_as_they_were(lengths: list[int], width: int, is_text: bool) -> None:
    generator = np.random.default_rng(0)
    if is_text:
        items = [generator.integers(0, 30_000, length).astype(np.int32) for length in lengths]
    else:
        items = [generator.standard_normal((length, width)).astype(np.float32) for length in lengths]
    request = EmbedRequest("m", "text" if is_text else "pose", items, 12.5)
    joined = EmbedRequest("m", request.tower, [np.concatenate(items)], 12.5, np.array(lengths))
    for sent in (request, joined):
        number, back = messages.unpack_embed(messages.pack_embed(7, sent))
        assert (number, back.model, back.tower, back.deadline) == (7, "m", request.tower, 12.5)
        assert back.lengths is not None
        assert back.lengths.tolist() == lengths
        for item, again in zip(items, cut_into_items(back.items, back.lengths), strict=True):
            np.testing.assert_array_equal(item, again)
            assert item.dtype == again.dtype


def test_results_come_back_as_they_were() -> None:
    embeddings = np.arange(6, dtype=np.float32).reshape(2, 3)
    some = EmbedResult(embeddings, {1: ItemFailedError("NaN")}, 0.5, 0.25, 1, "digest", "float32")
    none = EmbedResult(np.zeros((1, 0), dtype=np.float32), {0: ItemFailedError("shape")})
    back = messages.unpack_results(messages.pack_results([(3, some), (8, none)]))
    assert [number for number, _ in back] == [3, 8]
    for (_, result), sent in zip(back, (some, none), strict=True):
        np.testing.assert_array_equal(result.embeddings, sent.embeddings)
        assert {index: str(error) for index, error in result.failures.items()} == {
            index: str(error) for index, error in sent.failures.items()
        }
        assert all(isinstance(error, ItemFailedError) for error in result.failures.values())
        for field in ("queue_s", "forward_s", "cached", "digest", "dtype"):
            assert getattr(result, field) == getattr(sent, field)


@pytest.mark.parametrize(
    "error",
    [
        QueueFullError("full", retry_after_s=3.5),
        WeightsMissingError("default", "weights", "python -m models download default"),
        UnknownModelError("defualt", ["default"]),
    ],
)
def test_errors_keep_class_message_and_attributes(error: Exception) -> None:
    _, back = messages.unpack_refusal(messages.pack_refusal(1, error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_an_error_of_no_known_class_becomes_an_engine_error() -> None:
    packed = orjson.dumps({"number": 1, "error": {"class": "SystemExit", "message": "boo", "attributes": {}}})
    _, error = messages.unpack_refusal([messages.REFUSAL, packed])
    assert type(error) is EngineError


def test_statuses_come_back_as_they_were() -> None:
    status = messages.EngineStatus("m", Readiness(False, "loading"), {"m": ModelStatus("m", "loading")})
    assert messages.unpack_status(messages.pack_status(status)) == status


@pytest.mark.parametrize("unpack", UNPACKERS)
@given(st.lists(st.one_of(st.binary(max_size=64), st.from_regex(rb"\{.*\}")), max_size=4))
def test_anything_else_is_a_message_error(unpack, frames: list[bytes]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MessageError):
        unpack(frames)


@pytest.mark.parametrize(
    "change",
    [
        {"lengths": [2, 2]},
        {"lengths": [-3, 6]},
        {"lengths": [0, 3]},
        {"lengths": []},
        {"width": 0, "tower": "pose"},
        {"width": -1, "tower": "pose"},
        {"width": 2, "tower": "pose"},
        {"width": "1", "tower": "pose"},
        {"tower": "video"},
        {"tower": None},
        {"tower": []},
        {"number": "7"},
        {"deadline": "soon"},
    ],
)
def test_headers_that_lie_about_the_arrays_are_refused(change: dict[str, object]) -> None:
    request = EmbedRequest("m", "text", [np.arange(3, dtype=np.int32)])
    frames = [bytes(frame) for frame in messages.pack_embed(7, request)]
    messages.unpack_embed(frames)
    if "lengths" in change:
        frames[2] = np.array(change.pop("lengths"), dtype=np.int64).tobytes()
    frames[1] = orjson.dumps({**orjson.loads(frames[1]), **change})
    with pytest.raises(MessageError):
        messages.unpack_embed(frames)


def test_a_frame_that_is_no_whole_number_of_numbers_is_refused() -> None:
    frames = [bytes(frame) for frame in messages.pack_embed(7, EmbedRequest("m", "text", [np.arange(3)]))]
    for place in (2, 3):
        with pytest.raises(MessageError):
            messages.unpack_embed([*frames[:place], frames[place][:-1], *frames[place + 1 :]])
