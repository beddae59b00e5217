"""Errors that cross from one process to another: class, message and attributes, and nothing else."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import errors as model_errors
from models.errors import TensorMismatchError, UnknownModelError
from processes import errors as process_errors
from processes.error_messages import ErrorCodec
from processes.errors import MessageError, ProcessError, QueueFullError, VideoStoppedError

CODEC = ErrorCodec[Exception](process_errors, model_errors, fallback=ProcessError)


@pytest.mark.parametrize(
    "error",
    [
        MessageError("noise"),
        QueueFullError("full", retry_after_s=3.5),
        VideoStoppedError("restarting", retry_after_s=2),
        UnknownModelError("defualt", ["default"]),
        TensorMismatchError("model.pt", ["a", "b"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_keeps_class_message_and_attributes(error: Exception) -> None:
    back = CODEC.unpack(orjson.loads(orjson.dumps(CODEC.pack(error))))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_a_message_that_names_a_file_by_any_bytes_can_be_sent() -> None:
    packed = orjson.dumps(CODEC.pack(ProcessError("no such file: \udcff.pt")))
    assert str(CODEC.unpack(orjson.loads(packed))) == r"no such file: \udcff.pt"


def test_attributes_that_json_does_not_hold_stay_behind() -> None:
    error = ProcessError("lost")
    vars(error).update(process=object(), exit_code=-9)
    assert CODEC.pack(error)["attributes"] == {"exit_code": -9}


@pytest.mark.parametrize("name", ["SystemExit", "ValueError", "object", "ErrorCodec", "get_close_matches", "Iterable"])
def test_a_class_that_no_table_holds_becomes_the_fallback(name: str) -> None:
    """Neither builtins nor what a module of errors imports may be built by name."""
    error = CODEC.unpack({"class": name, "message": "boo", "attributes": {}})
    assert type(error) is ProcessError
    assert str(error) == "boo"


def test_a_class_that_a_module_imports_is_not_of_its_table() -> None:
    import engine.errors

    codec = ErrorCodec[Exception](engine.errors, fallback=MessageError)
    assert type(codec.unpack({"class": "ProcessError", "message": "", "attributes": {}})) is MessageError


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_anything_else_is_a_message_error(packed: object) -> None:
    with pytest.raises(MessageError):
        CODEC.unpack(packed)


@pytest.mark.parametrize("key", ["class", "message", "attributes"])
@pytest.mark.parametrize("value", [None, 7, ["x"]])
def test_each_part_has_its_type(key: str, value: object) -> None:
    with pytest.raises(MessageError):
        CODEC.unpack({"class": "ProcessError", "message": "", "attributes": {}, key: value})
