"""Fixtures of poses: what is made lies in make_poses, what is real in tests/golden."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pose_format import Pose

from tests.poses.make_poses import Floats, build_pose, compute_as_the_authors, measure_error, write_pose

GOLDEN = Path(__file__).parents[1] / "golden"


# Session scope, because hypothesis does not renew a fixture between examples.
@pytest.fixture(scope="session")
def make_pose() -> Callable[..., Pose]:
    return build_pose


@pytest.fixture(scope="session")
def to_bytes() -> Callable[..., bytes]:
    return write_pose


@pytest.fixture(scope="session")
def authors_features() -> Callable[..., Floats]:
    return compute_as_the_authors


@pytest.fixture(scope="session")
def relative_error() -> Callable[[Floats, Floats], float]:
    return measure_error


@pytest.fixture(scope="session")
def golden_bytes() -> Callable[[str], bytes]:
    return lambda name: (GOLDEN / "poses" / f"{name}.pose").read_bytes()


@pytest.fixture(scope="session")
def golden_features() -> dict[str, Floats]:
    """The authors' features by ``kind/clip``."""
    found: dict[str, Floats] = {}
    for file, prefix in (("signclip", "features"), ("fingerclip", "features"), ("anonymize", "anonymize")):
        with np.load(GOLDEN / f"{file}.npz") as arrays:
            found |= {name.replace(prefix, file): arrays[name] for name in arrays.files if name.startswith(prefix)}
    return found
