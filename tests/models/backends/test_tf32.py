"""TF32 is allowed while a forward in TF32 is launched, and at no other time, whatever other threads do."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from models.backends import packed, pytorch, tf32
from models.backends.packed import PackedBackend
from models.backends.packed_towers import PackedTowers
from models.backends.pytorch import TorchBackend
from models.backends.tf32 import Switch, hold_format, set_tf32
from models.batching import pad
from tests.models.backends.variants import draw_items, write_model

DEADLINE_S = 60


class Lamp:
    """What a switch turns, and all that it was turned to."""

    def __init__(self) -> None:
        self.history: list[bool] = []

    @property
    def is_on(self) -> bool:
        return self.history[-1]

    def turn(self, position: bool) -> None:
        self.history.append(position)


def test_it_is_off_after_each_block_also_after_one_that_fails() -> None:
    lamp = Lamp()
    switch = Switch(lamp.turn)
    with switch.hold(True):
        assert lamp.is_on
    assert not lamp.is_on
    with pytest.raises(ZeroDivisionError), switch.hold(True):
        raise ZeroDivisionError
    assert not lamp.is_on
    with switch.hold(False):
        assert not lamp.is_on


def test_a_position_that_others_changed_is_set_again() -> None:
    lamp = Lamp()
    switch = Switch(lamp.turn)
    for wanted in (False, True):
        lamp.turn(not wanted)
        with switch.hold(wanted):
            assert lamp.is_on == wanted


def test_blocks_of_one_thread_nest_in_one_position_only() -> None:
    lamp = Lamp()
    switch = Switch(lamp.turn)
    with switch.hold(True):
        with switch.hold(True):
            assert lamp.is_on
        assert lamp.is_on, "the inner block's end leaves the outer one's position"
        with pytest.raises(RuntimeError, match="both positions"), switch.hold(False):
            pass
        assert lamp.is_on
    assert not lamp.is_on


def test_a_thread_waits_for_the_other_position_and_goes_before_those_that_came_later() -> None:
    """Threads of one position in a row would otherwise keep a thread of the other position out for ever."""
    lamp = Lamp()
    switch = Switch(lamp.turn)
    entered: list[str] = []

    def block(name: str, position: bool) -> None:
        with switch.hold(position):
            assert lamp.is_on == position
            entered.append(name)

    with ThreadPoolExecutor(2) as pool:
        with switch.hold(False):
            assert pool.submit(block, "at the same time", False).result(DEADLINE_S) is None
            entered.clear()
            waiting = []
            for number, (name, position) in enumerate((("other", True), ("later", False)), start=1):
                waiting.append(pool.submit(block, name, position))
                _wait_until_queued(switch, number)
            assert not entered
            assert not lamp.is_on
        for future in waiting:
            future.result(DEADLINE_S)
    assert entered == ["other", "later"]


def _wait_until_queued(switch: Switch, threads: int) -> None:
    """Return once so many threads wait for the switch: each then has its place in the order of arrival."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with switch._changed:
            if len(switch._arrived) == threads:
                return
    raise TimeoutError(f"{threads} threads did not arrive")


def test_no_thread_sees_the_other_position_inside_its_block() -> None:
    lamp = Lamp()
    switch = Switch(lamp.turn)
    start = threading.Barrier(4)

    def work(position: bool) -> int:
        start.wait(DEADLINE_S)
        wrong = 0
        for _ in range(150):
            with switch.hold(position):
                wrong += sum(lamp.is_on != position for _ in range(50))
        return wrong

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(work, bool(number % 2)) for number in range(4)]
            assert [future.result(DEADLINE_S) for future in found] == [0, 0, 0, 0]
    finally:
        sys.setswitchinterval(interval)
    assert not lamp.is_on


def test_the_formats_hold_what_they_need_on_cuda_and_nothing_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    lamp = Lamp()
    monkeypatch.setattr(tf32, "TF32", Switch(lamp.turn))
    for dtype in ("float32", "tf32", "float16", "bfloat16"):
        with hold_format("cuda:1", dtype):
            assert lamp.is_on == (dtype == "tf32")
    turned = len(lamp.history)
    with hold_format("cpu", "float32"):
        assert len(lamp.history) == turned


def test_torch_is_told_both_of_products_and_of_convolutions() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.conv.fp32_precision
    try:
        for allowed, products, convolutions in ((True, "high", "tf32"), (False, "highest", "ieee")):
            set_tf32(allowed)
            assert torch.get_float32_matmul_precision() == products
            assert torch.backends.cudnn.conv.fp32_precision == convolutions
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.conv.fp32_precision = before[1]


def test_all_forwards_are_launched_while_their_format_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[str] = []
    launched: list[str] = []

    @contextmanager
    def record(device: str, dtype: str) -> Iterator[None]:
        held.append(dtype)
        yield
        held.pop()

    def watch(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def launch(*args: object, **kwargs: object) -> object:
            assert set(held) == {"float32"}
            launched.append(f"{owner.__name__}.{name}")
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, launch)

    monkeypatch.setattr(packed, "hold_format", record)
    monkeypatch.setattr(pytorch, "hold_format", record)
    path, config = write_model(tmp_path, "plain")
    padded = TorchBackend(path, config, device="cpu", dtype="float32")
    watch(PackedTowers, "encode")
    watch(type(padded.module), "encode_text")
    watch(type(padded.module), "encode_pose")
    unpadded = PackedBackend(padded)
    items = draw_items(config, "pose", [3, 9])
    launched.clear()
    unpadded.begin("pose", items, np.array([3, 9])).wait()
    padded.encode_pose(*pad(items, dtype=np.float32))
    padded.encode_text(*pad(draw_items(config, "text", [3, 9]), dtype=np.int64))
    assert launched == ["PackedTowers.encode", "SignClip.encode_pose", "SignClip.encode_text"]
    assert not held
