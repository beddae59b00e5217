"""The application over an engine that can be told what to do, and over the real one with the tiny model."""

from __future__ import annotations

import base64
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody

from app import create_app
from app.settings import ServiceSettings
from engine.errors import EngineError
from engine.interface import EmbedRequest, EmbedResult, Readiness
from engine.settings import EngineSettings
from models.background import Background, write_background
from models.catalog import load_catalog
from models.status import ModelStatus
from poses import read
from processes.errors import CancelledError, DeadlineExceededError
from search.settings import SearchSettings
from tests.app.estimators import FakeEstimators
from tests.poses.make_poses import write_pose

POSES = Path(__file__).parents[1] / "golden" / "poses"
DIGEST = "0123456789abcdef" * 4


@dataclass
class FakeEngine:
    """Answers at once, unless told to fail or to wait.

    Attributes:
        error: raised by every embed.
        failures: by index of the item, for every request.
        vector: replaces every vector.
        hold: embed waits until it is set.
        entered: set once an embed waits.
    """

    models: Mapping[str, ModelStatus]
    error: Exception | None = None
    failures: dict[int, EngineError] = field(default_factory=dict)
    vector: npt.NDArray[np.float32] | None = None
    hold: threading.Event | None = None
    entered: threading.Event = field(default_factory=threading.Event)
    ready: Readiness = field(default_factory=lambda: Readiness(True))
    requests: list[EmbedRequest] = field(default_factory=list)
    closed: bool = False

    def vector_of(self, tower: str, item: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Depends on its item alone."""
        if self.vector is not None:
            return self.vector
        return np.random.default_rng(zlib.crc32(tower.encode() + item.tobytes())).normal(size=32).astype(np.float32)

    def embed(self, request: EmbedRequest, is_disconnected: Callable[[], bool] | None = None) -> EmbedResult:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        if self.hold is not None:
            self.entered.set()
            left = None if request.deadline is None else request.deadline - time.monotonic()
            if not self.hold.wait(left):
                raise DeadlineExceededError("the deadline passed while the request waited")
            if is_disconnected is not None and is_disconnected():
                raise CancelledError("the client disconnected")
        rows = [self.vector_of(request.tower, item) for item in request.items]
        for index in self.failures:
            rows[index] = np.zeros(32, np.float32)
        return EmbedResult(
            np.stack(rows), self.failures, queue_s=0.001, forward_s=0.002, digest=DIGEST, dtype="float32"
        )

    def export_metrics(self) -> str:
        return "# TYPE signclip_engine_ready gauge\nsignclip_engine_ready 1.0\n"

    def get_default_model(self) -> str:
        return "tiny"

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        return self.models

    def get_readiness(self) -> Readiness:
        return self.ready

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def app_settings(tiny_weights: Path, tmp_path: Path) -> ServiceSettings:
    engine = EngineSettings(weights_dir=tiny_weights, default_model="tiny")
    search = SearchSettings(dir=str(tmp_path / "search"), maintain_s=0)
    return ServiceSettings(engine=engine, max_items=8, max_body_bytes=4_000_000, search=search)


@pytest.fixture
def engine(tiny_weights: Path) -> FakeEngine:
    loaded = ModelStatus("tiny", "loaded", device="cpu", dtype="float32", digest=DIGEST)
    missing = ModelStatus("", "missing", reason="to have it: python -m models download NAME")
    return FakeEngine({name: loaded if name == "tiny" else missing for name in load_catalog(weights=tiny_weights)})


@pytest.fixture
def make_client(app_settings: ServiceSettings, engine: FakeEngine) -> Callable[..., FlaskClient]:
    """Build a client of an app over the fake engine, with some settings changed."""

    def make(**changes: object) -> FlaskClient:
        return create_app(app_settings.model_copy(update=changes), engine).test_client()

    return make


@pytest.fixture
def client(make_client: Callable[..., FlaskClient]) -> FlaskClient:
    return make_client()


@pytest.fixture
def estimators() -> FakeEstimators:
    return FakeEstimators()


@pytest.fixture
def make_video_client(
    app_settings: ServiceSettings, engine: FakeEngine, estimators: FakeEstimators
) -> Callable[..., FlaskClient]:
    """Build a client of an app over the fake engine and the fake estimators, with some settings changed."""

    def make(**changes: object) -> FlaskClient:
        settings = app_settings.model_copy(update={"max_videos": 4, **changes})
        return create_app(settings, engine, estimators).test_client()

    return make


@pytest.fixture(scope="session")
def real_app(tiny_weights: Path) -> Iterator[Flask]:
    """The app over the real engine, with the tiny model."""
    from engine.local import LocalEngine

    settings = EngineSettings(weights_dir=tiny_weights, default_model="tiny", device="cpu", threads=1)
    engine = LocalEngine(settings)
    yield create_app(ServiceSettings(engine=settings, max_items=8), engine)
    engine.close()


@pytest.fixture
def real_client(real_app: Flask) -> FlaskClient:
    return real_app.test_client()


@pytest.fixture(scope="session")
def golden_poses() -> dict[str, bytes]:
    """Real clips by name: ase_A 21 frames, house 73, gss_long 258."""
    return {path.stem: path.read_bytes() for path in POSES.glob("*.pose")}


@pytest.fixture(scope="session")
def pose_bytes() -> bytes:
    """A real clip that the tiny model takes whole."""
    return (POSES / "ase_A.pose").read_bytes()


@pytest.fixture(scope="session")
def pose_base64(pose_bytes: bytes) -> str:
    return base64.b64encode(pose_bytes).decode()


@pytest.fixture(scope="session")
def handless_base64(golden_poses: dict[str, bytes]) -> str:
    """A real clip in which no hand is seen."""
    pose = read(golden_poses["ase_A"])
    values, confidence = np.asarray(pose.body.data).copy(), pose.body.confidence.copy()
    hands = slice(511, 553)
    values[:, :, hands] = confidence[:, :, hands] = 0
    return base64.b64encode(write_pose(Pose(pose.header, NumPyPoseBody(pose.body.fps, values, confidence)))).decode()


@pytest.fixture
def background(tiny_weights: Path, tmp_path: Path) -> Background:
    """A background of the tiny model, in a copy of its weights folder: what the fake engine makes of 200 clips."""
    weights = tmp_path / "weights"
    shutil.copytree(tiny_weights, weights)
    vectors = np.random.default_rng(5).normal(size=(200, 32)).astype(np.float32)
    found = Background(vectors, vectors[:0], DIGEST, "random vectors")
    write_background(weights / "tiny" / "tiny.null.safetensors", found)
    return found


@pytest.fixture
def background_client(
    app_settings: ServiceSettings, engine: FakeEngine, background: Background, tmp_path: Path
) -> FlaskClient:
    """A client of an app whose model has a background."""
    own = replace(app_settings.engine, weights_dir=tmp_path / "weights")
    return create_app(app_settings.model_copy(update={"engine": own}), engine).test_client()
