"""The application as the fuzzer asks it: with everything but models and trackers, which never see a client's bytes."""

import gzip
import logging
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard
from flask.testing import FlaskClient

from app import create_app
from app.settings import ServiceSettings
from benchmarks import inputs
from benchmarks.fuzzing.targets import FaultError
from engine.interface import EmbedRequest, EmbedResult, Readiness
from engine.settings import EngineSettings
from models.catalog import load_catalog
from models.status import ModelStatus
from search.settings import SearchSettings
from video.errors import VideoUnreadableError
from video.estimates import Estimate, VideoFacts
from video.interface import EstimateRequest, Event, Finished, Progress

MODEL = "fingerspelling"
COLLECTION = "fuzzed"
DIM = 128
DIGEST = "0123456789abcdef" * 4
# Small, so that limits are reached by small inputs, too.
_MAX_ITEMS, _MAX_BODY_BYTES = 16, 1_000_000


class InstantEngine:
    """Answers every item at once, by a vector that depends on the item."""

    def embed(self, request: EmbedRequest, is_disconnected: Callable[[], bool] | None = None) -> EmbedResult:  # noqa: ARG002
        """Answer; see Engine.embed."""
        seeds = [zlib.crc32(item.tobytes()) for item in request.items]
        vectors = np.stack([np.random.default_rng(seed).normal(size=DIM).astype(np.float32) for seed in seeds])
        return EmbedResult(vectors, digest=DIGEST, dtype="float32")

    def export_metrics(self) -> str:
        """Have no counters."""
        return ""

    def get_default_model(self) -> str:
        """Name the shipped model."""
        return MODEL

    def list_statuses(self) -> Mapping[str, ModelStatus]:
        """List the shipped model as loaded, and the others as missing."""
        loaded = ModelStatus(MODEL, "loaded", device="cpu", dtype="float32", digest=DIGEST)
        return {name: loaded if name == MODEL else ModelStatus(name, "missing", reason="x") for name in load_catalog()}

    def get_readiness(self) -> Readiness:
        """Be ready."""
        return Readiness(True)

    def close(self) -> None:
        """Hold nothing."""


class InstantEstimators:
    """Answers every other video by a real pose, and refuses the others."""

    def __init__(self) -> None:
        self._pose = inputs.house_clip()

    def begin(self, request: EstimateRequest) -> "_InstantWork":
        """Admit a request; see Estimators.begin."""
        return _InstantWork(request, self._pose)

    def export_metrics(self) -> str:
        """Have no counters."""
        return ""

    def close(self) -> None:
        """Hold nothing."""


class _InstantWork:
    def __init__(self, request: EstimateRequest, pose: bytes) -> None:
        self._request, self._pose = request, pose

    def follow(self, is_disconnected: Callable[[], bool] | None = None) -> Iterator[Event]:  # noqa: ARG002
        """Finish every video."""
        for index, video in enumerate(self._request.videos):
            yield Progress(index, 1, 2)
            good = zlib.crc32(video) % 2 == 0
            facts = VideoFacts(640, 480, 25.0, 73, 2.92, 0, "h264", "instant")
            yield Finished(index, Estimate(self._pose, facts, ()) if good else VideoUnreadableError("refused"))

    def close(self) -> None:
        """Hold nothing."""


class _Places(logging.Handler):
    """Keeps where the last unforeseen error came from, because an answer does not say."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the places of a record."""
        self.last = f"{getattr(record, 'exception', '')} at {getattr(record, 'places', [])[-3:]}"


class Asked:
    """The application, and what is wrong with an answer of it."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client
        self._places = _Places()
        logging.getLogger("signclip.failures").addHandler(self._places)

    def send(self, message: bytes) -> str:
        """Send a message as `write_message` writes it; returns the status and the code of the problem.

        Raises:
            FaultError: the answer is a failure of the service without a name of its own, or not in the form of answers.
        """
        method, path, headers, body = read_message(message)
        answer = self._client.open(path, method=method, headers=headers, data=body)
        try:
            if method == "HEAD":
                return f"HEAD {answer.status_code}"
            return self._judge(answer.status_code, answer.mimetype, answer.data)
        finally:
            answer.close()

    def _judge(self, status: int, mimetype: str | None, data: bytes) -> str:
        if status < 400:
            if mimetype == "application/json":
                orjson.loads(data)
            return str(status)
        if mimetype != "application/problem+json":
            raise FaultError(f"{status} as {mimetype}")
        problem = orjson.loads(data)
        code = problem["code"]
        if code == "internal" or problem["status"] != status or not problem["detail"]:
            raise FaultError(f"{status} {code}: {self._places.last}")
        return f"{status} {code}"


def write_message(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Write a request as bytes, so that one that breaks something can be kept in a file."""
    return orjson.dumps([method, path, dict(headers)]) + b"\n" + body


def read_message(message: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """Read what `write_message` wrote."""
    head, _, body = message.partition(b"\n")
    method, path, headers = orjson.loads(head)
    return method, path, headers, body


def pack(body: bytes, packing: str) -> bytes:
    """Pack a body as Content-Encoding names it."""
    return gzip.compress(body, 1) if packing == "gzip" else zstandard.compress(body, 1)


@contextmanager
def running_app() -> Iterator[Asked]:
    """Build the application with one collection of a few entries, until the block ends.

    Raises:
        FaultError: the collection cannot be made.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = ServiceSettings(
            engine=EngineSettings(default_model=MODEL),
            search=SearchSettings(dir=str(folder / "search"), maintain_s=0),
            max_items=_MAX_ITEMS,
            max_body_bytes=_MAX_BODY_BYTES,
            max_video_bytes=_MAX_BODY_BYTES,
        )
        application = create_app(settings, InstantEngine(), InstantEstimators())
        client = application.test_client()
        made = client.put(f"/api/collections/{COLLECTION}", json={"model_name": MODEL})
        entries: list[dict[str, Any]] = [{"id": letter, "text": letter, "gloss": letter} for letter in "ABCDEF"]
        stored = client.post(f"/api/collections/{COLLECTION}/entries", json={"entries": entries})
        if (made.status_code, stored.status_code) != (200, 200):
            raise FaultError(f"the collection is not there: {made.text} {stored.text}")
        yield Asked(client)
