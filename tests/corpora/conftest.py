"""Miniature data sets as fixtures, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import miniatures

Place = Callable[..., Path]


@pytest.fixture
def pose_file() -> Place:
    return miniatures.place_pose


@pytest.fixture
def text_file() -> Place:
    return miniatures.place_text


@pytest.fixture
def parquet_clip() -> Place:
    return miniatures.place_parquet


@pytest.fixture(scope="session")
def landmarks() -> Callable[..., miniatures.Floats]:
    return miniatures.kaggle_landmarks


@pytest.fixture
def rwth(tmp_path: Path) -> Path:
    return miniatures.rwth(tmp_path)


@pytest.fixture
def asl_signs(tmp_path: Path) -> Path:
    return miniatures.asl_signs(tmp_path)


@pytest.fixture
def spreadthesign(tmp_path: Path) -> Path:
    return miniatures.spreadthesign(tmp_path)


@pytest.fixture
def asl_citizen(tmp_path: Path) -> Path:
    return miniatures.asl_citizen(tmp_path)


@pytest.fixture
def sem_lex(tmp_path: Path) -> Path:
    return miniatures.sem_lex(tmp_path)


@pytest.fixture
def wlasl(tmp_path: Path) -> Path:
    return miniatures.wlasl(tmp_path)


@pytest.fixture
def signsuisse(tmp_path: Path) -> Path:
    return miniatures.signsuisse(tmp_path)


@pytest.fixture
def how2sign(tmp_path: Path) -> Path:
    return miniatures.how2sign(tmp_path)


@pytest.fixture
def chicago(tmp_path: Path) -> Path:
    return miniatures.chicago(tmp_path)


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    return miniatures.lexicon(tmp_path)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return miniatures.manifest(tmp_path)
