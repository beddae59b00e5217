from __future__ import annotations

import argparse
import functools
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.checkpoints.pickled import StoredTensor, open_checkpoint
from models.errors import CheckpointFormatError
from tests.models.checkpoints.handmade import HEAD, TWO_BY_THREE, beside, load_tensor, write_archive

# pickletools complains of stray backslashes in names before it refuses them.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    return functools.partial(write_archive, tmp_path / "checkpoint.pt")


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.float32, torch.float16, torch.bfloat16, torch.float64),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    ],
    ids=str,
)
def test_tensors_come_back_as_torch_saved_them(tmp_path, dtype):
    whole = torch.arange(24).reshape(4, 6).to(dtype)
    tensors = {
        "whole": whole,
        "part": whole[1:3, 2:4],
        "turned": whole.T,
        "one": torch.tensor(1).to(dtype),
        "none": torch.empty(0, 3, dtype=dtype),
        "parameter": torch.nn.Parameter(whole.clone(), requires_grad=False),
    }
    torch.save({"model": tensors}, tmp_path / "checkpoint.pt")
    with open_checkpoint(tmp_path / "checkpoint.pt") as (content, file):
        for name, tensor in tensors.items():
            loaded = content["model"][name].load(file)
            assert loaded.dtype == dtype
            assert torch.equal(loaded, tensor)


@pytest.mark.parametrize(
    "numbers",
    [
        b"K\x00K\x02J\xff\xff\xff\xff\x86K\x03K\x01\x86\x89",  # a negative size
        b"K\x00K\x02K\x03\x86K\x03J\xff\xff\xff\xff\x86\x89",  # a negative stride
        b"J\xff\xff\xff\xffK\x02K\x03\x86K\x03K\x01\x86\x89",  # a negative offset
        b"K\x00K\x02K\x03\x86K\x03\x85\x89",  # two sizes, one stride
        b"K\x00K\x02K\x03\x86NN",  # no stride
        b"K\x00X\x01\x00\x00\x002K\x03\x86K\x03K\x01\x86\x89",  # a size that is text
        b"K\x00\x88K\x03\x86K\x03K\x01\x86\x89",  # or a truth
        b"K\x00(" + b"K\x01" * 9 + b"t(" + b"K\x01" * 9 + b"t\x89",  # nine dimensions
        b"K\x00\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00K\x03\x86K\x03K\x01\x86\x89",  # 2**64 rows
        b"K\x00\x8a\x07\x00\x00\x00\x00\x00\x00\x01K\x03\x86K\x03K\x01\x86\x89",  # 2**48 rows
        b"K\x00N" + b"2\x86" * 26 + b"K\x01\x85\x89",  # a shape whose text would fill gigabytes
    ],
)
def test_impossible_shapes_are_refused(archive, numbers):
    with pytest.raises(CheckpointFormatError, match="impossible") as caught:
        load_tensor(archive(beside(b"N").replace(b"K\x00K\x02K\x03\x86K\x03K\x01\x86\x89", numbers)))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "tensor",
    [
        StoredTensor("archive/data/0", torch.float32, 0, (7,), (1,)),
        StoredTensor("archive/data/0", torch.float32, 1, (2, 3), (3, 1)),
        StoredTensor("archive/data/0", torch.float32, 2**40, (1,), (1,)),
        StoredTensor("archive/data/0", torch.float64, 0, (6,), (1,)),
        StoredTensor("archive/data/0", torch.float32, 0, (2, 2), (2**47, 1)),
        StoredTensor("archive/data/0", torch.float32, 0, (2**40,), (0,)),  # one number, repeated
        StoredTensor("archive/data/0", torch.float32, 0, (2**47, 2**47), (0, 0)),
        StoredTensor("archive/data/1", torch.float32, 0, (1,), (1,)),
    ],
)
def test_tensors_that_the_stored_bytes_do_not_hold_are_refused(archive, tensor):
    with open_checkpoint(archive(beside(b"N"))) as (_, file), pytest.raises(CheckpointFormatError, match="archive"):
        tensor.load(file)


def test_compressed_entries_are_refused(archive):
    """A zip bomb is small only when compressed; torch never compresses."""
    with pytest.raises(CheckpointFormatError, match="no tensor description"):
        load_tensor(archive(beside(b"N"), compression=zipfile.ZIP_DEFLATED))


def test_a_compressed_tensor_is_refused(archive, tmp_path):
    path = archive(beside(b"N"))
    with zipfile.ZipFile(tmp_path / "mixed.pt", "w") as file, zipfile.ZipFile(path) as source:
        file.writestr("archive/data.pkl", source.read("archive/data.pkl"))
        file.writestr("archive/data/0", bytes(1_000_000), zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointFormatError, match="uncompressed"):
        load_tensor(tmp_path / "mixed.pt")


def test_a_description_too_large_to_be_one_is_refused(archive):
    with pytest.raises(CheckpointFormatError, match="no tensor description"):
        load_tensor(archive(b"N" * 10_000_001))


def test_cycles_are_read(archive):
    with open_checkpoint(archive(HEAD + b"}q\x00X\x04\x00\x00\x00selfh\x00s.")) as (content, _):
        assert content["self"] is content


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"<!DOCTYPE html><html>Quota exceeded</html>", b"\x80\x02}.", bytes(1000)],
    ids=["empty", "two letters", "web page", "bare pickle", "zeros"],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(CheckpointFormatError, match="no readable PyTorch checkpoint"):
        load_tensor(tmp_path / "checkpoint.pt")


def test_an_archive_with_two_descriptions_or_none_is_refused(tmp_path):
    for names in ([], ["a/data.pkl", "b/data.pkl"]):
        with zipfile.ZipFile(tmp_path / "checkpoint.pt", "w") as file:
            for name in names:
                file.writestr(name, b"N.")
        with pytest.raises(CheckpointFormatError, match=f"holds {len(names)} data.pkl"):
            load_tensor(tmp_path / "checkpoint.pt")


def test_a_missing_file_or_folder_is_refused(tmp_path):
    for path in (tmp_path / "checkpoint.pt", tmp_path):
        with pytest.raises(CheckpointFormatError, match=path.name):
            load_tensor(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "checkpoint.pt"
    torch.save({"args": argparse.Namespace(a=1), "model": {"w": torch.ones(20), "v": torch.zeros(2, 3)}}, path)
    return path.read_bytes()


def read_everything(path: Path) -> None:
    """Do what loading does with whatever is there; only refusals of the right kind may come out."""
    try:
        with open_checkpoint(path) as (content, file):
            model = content.get("model") if isinstance(content, dict) else None
            for tensor in (model or {}).values() if isinstance(model, dict) else ():
                if isinstance(tensor, StoredTensor):
                    tensor.load(file)
    except CheckpointFormatError:
        return


SHARED_FOLDER = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED_FOLDER
@given(data=st.data())
def test_truncated_files_are_refused(tmp_path, whole, data):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(CheckpointFormatError):
        load_tensor(path)


@SHARED_FOLDER
@given(data=st.data())
def test_damaged_files_give_tensors_or_the_one_error(tmp_path, whole, data):
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "checkpoint.pt").write_bytes(damaged)
    read_everything(tmp_path / "checkpoint.pt")


@SHARED_FOLDER
@example(b"\x85" * 100_000, 4)
@given(st.binary(max_size=40), st.integers(0, len(TWO_BY_THREE)))
def test_damaged_descriptions_give_tensors_or_the_one_error(archive, inserted, where):
    """The archive is whole, so what was inserted reaches the machine instead of failing a checksum."""
    tensor = TWO_BY_THREE[:where] + inserted + TWO_BY_THREE[where:]
    read_everything(archive(HEAD + b"}X\x05\x00\x00\x00model}X\x01\x00\x00\x00w" + tensor + b"ss."))
