"""How fast this machine multiplies matrices of the towers' sizes: the limit that a forward pass is held against."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

# bert-base: what its feed-forward layers multiply, seven tenths of a tower's operations.
WIDTH, INNER = 768, 3072
# Positions in 32 short texts and in 32 clips of 73 frames; in 8, 32, 128 and 512 such clips on a GPU.
POSITIONS = {"cpu": (32 * 8, 32 * 75), "cuda": (8 * 75, 32 * 75, 128 * 75, 512 * 75)}
# Products in one call, up and down in turn, so that handing over the first and last matrix does not count for much.
CHAIN = 8


def positions(device: str) -> tuple[int, ...]:
    """Rows of the matrices that are multiplied on a device."""
    return POSITIONS["cpu" if device == "cpu" else "cuda"]


def operations(rows: int) -> int:
    """Multiplications and additions of one call."""
    return CHAIN * 2 * rows * WIDTH * INNER


def product_cases(dtype: str, device: str) -> dict[tuple[str, int], Callable[[], object]]:
    """Calls to time, by library and positions."""
    cases = torch_cases(dtype, device)
    if device == "cpu" and find_spec("openvino") is not None:
        cases |= {("openvino", rows): _in_openvino(rows, dtype) for rows in positions(device)}
    return cases


def torch_cases(dtype: str, device: str) -> dict[tuple[str, int], Callable[[], object]]:
    """Calls to time in PyTorch alone, by library and positions: what training is held against."""
    return {("torch", rows): _in_torch(rows, dtype, device) for rows in positions(device)}


Floats = npt.NDArray[np.float32]


def copied_bytes(device: str) -> int:
    """Bytes that `copy_case` reads: more than any cache holds, and on a GPU enough for a launch not to count."""
    return 2**28 if device == "cpu" else 2**31


def copy_case(device: str) -> Callable[[], object]:
    """A call to time that reads and writes `copied_bytes` each: what a forward of one short text is held against."""
    import torch

    source = torch.ones(copied_bytes(device) // 4, device=device)
    target = torch.empty_like(source)

    def run() -> object:
        target.copy_(source)
        return target[0].item()

    return run


def _matrices(positions: int) -> tuple[Floats, Floats, Floats]:
    generator = np.random.default_rng(0)
    # Scaled so that the chain neither grows nor vanishes: subnormal numbers would be multiplied at another speed.
    up = generator.standard_normal((INNER, WIDTH), dtype=np.float32) / np.float32(np.sqrt(WIDTH))
    down = generator.standard_normal((WIDTH, INNER), dtype=np.float32) / np.float32(np.sqrt(INNER))
    return generator.standard_normal((positions, WIDTH), dtype=np.float32), up, down


def _in_torch(positions: int, dtype: str, device: str) -> Callable[[], object]:
    import torch

    from models.backends.pytorch import FORMATS
    from models.backends.tf32 import hold_format

    start, up, down = (torch.from_numpy(m).to(device, FORMATS[dtype]) for m in _matrices(positions))

    def run() -> object:
        with hold_format(device, dtype), torch.inference_mode():
            hidden = start
            for _ in range(CHAIN // 2):
                hidden = torch.nn.functional.linear(torch.nn.functional.linear(hidden, up), down)
            return hidden[0, 0].item()  # a GPU is only asked until someone wants to know

    return run


def _in_openvino(positions: int, dtype: str) -> Callable[[], object]:
    from models.backends.openvino_conversion import import_openvino

    openvino: Any = import_openvino()
    ops = openvino.opset13
    start, up, down = _matrices(positions)
    parameter = ops.parameter([positions, WIDTH], np.float32)
    hidden = parameter
    for _ in range(CHAIN // 2):
        for weights in (up, down):
            hidden = ops.matmul(hidden, ops.constant(weights), False, True)
    precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(openvino.Model([hidden], [parameter]), "CPU", options)
    request = compiled.create_infer_request()
    return lambda: request.infer({0: start}, share_inputs=True, share_outputs=True)
