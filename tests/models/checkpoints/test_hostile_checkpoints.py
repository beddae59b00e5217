from __future__ import annotations

import argparse
import os
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.checkpoints.pickle_machine import Placeholder
from models.checkpoints.pickled import open_checkpoint
from tests.models.checkpoints.handmade import beside, load_tensor, write_archive


class Call:
    """Has Python's own pickle call something when it loads."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


class Restored:
    """Is given its state back when Python's own pickle loads it."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __setstate__(self, state: dict[str, str]) -> None:
        Path(state["trace"]).touch()


HOSTILE: dict[str, Callable[[str], object]] = {
    "open": lambda trace: Call(open, trace, "w"),
    "os.system": lambda trace: Call(os.system, f"touch {trace}"),
    "eval": lambda trace: Call(eval, f"open({trace!r}, 'w').close()"),
    "exec": lambda trace: Call(exec, f"open({trace!r}, 'w').close()"),
    "a method": lambda trace: Call(Path(trace).touch),
    "a state": Restored,
    "nested": lambda trace: [{"deep": (Call(len, ()), Call(os.mkdir, trace))}, {Call(len, ())}],
}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Where hostile objects leave a file when they run."""
    return tmp_path / "executed"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_checkpoint_runs(tmp_path, trace, name):
    value = HOSTILE[name](str(trace))
    torch.save({"args": value, "model": {"w": torch.ones(2), "x": value}}, tmp_path / "checkpoint.pt")
    with open_checkpoint(tmp_path / "checkpoint.pt") as (content, file):
        assert torch.equal(content["model"]["w"].load(file), torch.ones(2))
    assert not trace.exists()
    pickle.loads(pickle.dumps(value))
    assert trace.exists(), "the test is worthless: Python's own pickle does not run it either"


@pytest.mark.parametrize(
    "value",
    [
        b"cos\nsystem\nX\x04\x00\x00\x00true\x85R",
        b"ctorch\nload\nX\x01\x00\x00\x00x\x85R",
        b"ctorch.hub\nload_state_dict_from_url\nX\x01\x00\x00\x00x\x85R",
        b"cbuiltins\ngetattr\ncos\nsystem\nX\x08\x00\x00\x00__call__\x86R",
        b"cantigravity\nfly\n)R",
        b"cfairseq.dataclass.configs\nFairseqConfig\n)\x81}X\x01\x00\x00\x00aK\x01sb",
        b"(cantigravity\nfly\no",
        b"(iantigravity\nfly\n",
        b"cantigravity\nfly\n)}\x92",
        b"\x8c\x0bantigravity\x8c\x03fly\x93)R",
        b"\x82\x01",
        # States for what stands in the place of known functions: in Python's machine these would replace their code.
        b"ctorch._utils\n_rebuild_tensor_v2\nN}X\x08\x00\x00\x00__code__K\x01s\x86b",
        b"ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb",
    ],
)
def test_unknown_classes_and_functions_are_never_looked_up(tmp_path, value):
    assert torch.equal(load_tensor(write_archive(tmp_path / "c.pt", beside(value))), torch.arange(6.0).reshape(2, 3))
    assert "antigravity" not in sys.modules
    assert torch.equal(load_tensor(write_archive(tmp_path / "c.pt", beside(b"N"))), torch.arange(6.0).reshape(2, 3))


def test_tensors_load_beside_classes_of_a_missing_package(tmp_path, monkeypatch):
    """As in the released files: a Namespace, and configuration classes of fairseq and omegaconf."""
    package = types.ModuleType("not_installed_here")
    config = type("Config", (), {"__module__": "not_installed_here"})
    package.Config = config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "not_installed_here", package)
    content = {"cfg": {"model": argparse.Namespace(arch="mmarch"), "x": config()}, "model": {"w": torch.ones(2)}}
    torch.save(content, tmp_path / "checkpoint.pt")
    monkeypatch.delitem(sys.modules, "not_installed_here")
    with open_checkpoint(tmp_path / "checkpoint.pt") as (got, file):
        assert isinstance(got["cfg"]["model"], Placeholder)
        assert isinstance(got["cfg"]["x"], Placeholder)
        assert torch.equal(got["model"]["w"].load(file), torch.ones(2))
