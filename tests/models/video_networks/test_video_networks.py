"""S3D and I3D against numbers of the published code, on made weights; and the files that weights come in.

The golden vectors are what s3dg.py of J22Melody/fairseq@a8199440 and models/i3d.py of gulvarol/bsl1k@bfeaa3a8 give for
these weights and clips; of I3D, the average of what its last block gives.
"""

import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import CheckpointFormatError, ShapeError, TensorMismatchError
from models.video_networks import i3d, loading, s3d
from models.video_networks.catalog import VIDEO_NETWORKS
from models.video_networks.loading import load_network, read_tensors
from tests.models.video_networks.made_weights import BSL_CLASSES, GOLDEN, draw_clips, make_weights

VECTORS = np.load(GOLDEN / "video_networks.npz")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    # Small convolutions wait longer for a second thread than they compute, where other programs share the cores.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Weights in both forms: S3D's as an archive, I3D's as PyTorch wrote them before 1.6, the BSL one as trained."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save(make_weights("s3d"), folder / "s3d_howto100m.pth")
    torch.save(OrderedDict(make_weights("i3d")), folder / "rgb_imagenet.pt", _use_new_zipfile_serialization=False)
    trained = {f"module.{name}": tensor for name, tensor in make_weights("i3d", classes=BSL_CLASSES).items()}
    trained["module.Conv3d_1a_7x7.bn.num_batches_tracked"] = torch.tensor(7)
    checkpoint = {"epoch": 5, "arch": "InceptionI3d", "state_dict": trained, "optimizer": {"state": {}}}
    torch.save(checkpoint, folder / "bsl5k.pth.tar", _use_new_zipfile_serialization=False)
    return folder


@pytest.fixture(scope="module")
def networks(files):
    return {name: load_network(network, files / network.weights) for name, network in VIDEO_NETWORKS.items()}


def test_s3d_gives_the_numbers_of_the_published_code(networks):
    clips = draw_clips(1, (2, 3, 10, 36, 52))
    features = networks["s3d"](clips).numpy()
    assert features.shape == (2, VIDEO_NETWORKS["s3d"].features) == (2, s3d.FEATURES)
    np.testing.assert_allclose(features, VECTORS["s3d"], atol=1e-5)
    # A clip does not depend on its neighbour.
    np.testing.assert_allclose(networks["s3d"](clips[1:]).numpy(), features[1:], atol=1e-5)


def test_i3d_gives_the_numbers_of_the_published_code(networks):
    features = networks["i3d"](draw_clips(2, (1, 3, 11, 45, 60)) * 2 - 1).numpy()
    assert features.shape == (1, VIDEO_NETWORKS["i3d"].features) == (1, i3d.FEATURES)
    np.testing.assert_allclose(features, VECTORS["i3d"], atol=1e-4)


def test_weights_of_other_classes_differ_in_their_classifiers_alone(networks):
    one, other = networks["i3d"].state_dict(), networks["i3d_bsl"].state_dict()
    assert len(other["logits.conv3d.bias"]) == BSL_CLASSES
    for name, tensor in one.items():
        assert name.startswith("logits.") or torch.equal(other[name], tensor)


def test_odd_clips_are_refused(networks):
    with pytest.raises(ShapeError, match="clips of 15 frames of 64 × 64; S3D needs even numbers"):
        networks["s3d"](torch.zeros(1, 3, 15, 64, 64))


@pytest.mark.parametrize("name", VIDEO_NETWORKS)
def test_networks_only_evaluate(networks, name):
    assert not networks[name].training
    assert not any(parameter.requires_grad for parameter in networks[name].parameters())


@pytest.mark.parametrize(
    ("network", "change", "message"),
    [
        ("s3d", {"fc.bias": None}, "fc.bias is missing"),
        ("s3d", {"more.weight": torch.zeros(1)}, "more.weight is unexpected"),
        ("s3d", {"text_module.fc1.bias": None}, "text_module.fc1.bias is missing"),
        ("s3d", {"gating.fc.bias": torch.zeros(3)}, r"gating.fc.bias is \(3,\), not \(192,\)"),
        ("i3d", {"Mixed_5c.b0.bn.weight": None}, "Mixed_5c.b0.bn.weight is missing"),
        ("i3d", {"logits.conv3d.weight": None}, "logits.conv3d.weight is missing"),
        ("i3d", {"logits.conv3d.bias": torch.zeros(7)}, "logits.conv3d.bias"),
    ],
)
def test_weights_load_strictly(monkeypatch, network, change, message):
    tensors = {name: tensor for name, tensor in (make_weights(network) | change).items() if tensor is not None}
    monkeypatch.setattr(loading, "read_tensors", lambda path: tensors)
    with pytest.raises(TensorMismatchError, match=message):
        load_network(VIDEO_NETWORKS[network], Path("weights.pt"))


TENSORS = {
    "whole": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "part": torch.arange(10, dtype=torch.int64)[3:7],
    "half": torch.ones(3, dtype=torch.float16),
    "one": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
}


@pytest.mark.parametrize("is_archive", [True, False])
def test_tensors_of_either_form_are_those_that_were_saved(tmp_path, is_archive):
    torch.save(OrderedDict(TENSORS), tmp_path / "t.pt", _use_new_zipfile_serialization=is_archive)
    read = read_tensors(tmp_path / "t.pt")
    assert list(read) == list(TENSORS)
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the file ran",))


def test_a_streamed_file_runs_nothing(tmp_path):
    content = {"state_dict": {"module.a": torch.ones(2)}, "bomb": Bomb()}
    torch.save(content, tmp_path / "t.pt", _use_new_zipfile_serialization=False)
    assert read_tensors(tmp_path / "t.pt")["a"].tolist() == [1, 1]


def _streamed(*pickled, storages=b""):
    return b"".join(pickle.dumps(part, protocol=2) for part in pickled) + storages


_HEAD = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no readable PyTorch checkpoint"),
        (b"no checkpoint at all", "no readable PyTorch checkpoint"),
        (_streamed(1, 1001, {"little_endian": True}, {}, []), "no PyTorch checkpoint of a little-endian machine"),
        (_streamed(*_HEAD[:2], {"little_endian": False}, {}, []), "little-endian"),
        (_streamed(*_HEAD, {}, []), "holds no tensors by name"),
        (_streamed(*_HEAD, [1, 2], []), "holds no tensors by name"),
        (_streamed(*_HEAD, {}), "no readable PyTorch checkpoint"),
        (_streamed(*_HEAD, {}, ["0"], storages=struct.pack("<q", 3)), "no readable PyTorch checkpoint"),
    ],
)
def test_damaged_streams_are_refused(tmp_path, content, message):
    (tmp_path / "t.pt").write_bytes(content)
    with pytest.raises(CheckpointFormatError, match=message):
        read_tensors(tmp_path / "t.pt")


def test_every_cut_of_a_stream_is_refused(tmp_path):
    torch.save({"a": torch.ones(2), "b": torch.ones(3)}, tmp_path / "t.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "t.pt").read_bytes()
    for length in range(0, len(whole) - 1, 7):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        with pytest.raises(CheckpointFormatError):
            read_tensors(tmp_path / "cut.pt")


def test_a_storage_may_be_too_short_for_its_tensor(tmp_path):
    torch.save({"a": torch.ones(4)}, tmp_path / "t.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "t.pt").read_bytes()
    start = len(whole) - 4 * 4 - 8
    (tmp_path / "t.pt").write_bytes(whole[:start] + struct.pack("<q", 2) + whole[-8:])
    with pytest.raises(CheckpointFormatError, match=r"has 2 numbers; \(4,\) needs 4"):
        read_tensors(tmp_path / "t.pt")
    (tmp_path / "t.pt").write_bytes(whole[:start] + struct.pack("<q", -1) + whole[-16:])
    with pytest.raises(CheckpointFormatError, match="ends before storage"):
        read_tensors(tmp_path / "t.pt")


def test_files_that_are_not_there_or_something_else(tmp_path):
    with pytest.raises(CheckpointFormatError, match="cannot be read"):
        read_tensors(tmp_path / "none.pt")
    with zipfile.ZipFile(tmp_path / "z.pt", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(CheckpointFormatError, match=r"holds 0 data\.pkl"):
        read_tensors(tmp_path / "z.pt")
