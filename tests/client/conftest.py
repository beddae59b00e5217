"""The client against the real application, and against one that fails as it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app import create_app
from app.settings import ServiceSettings
from engine.local import LocalEngine
from engine.settings import EngineSettings
from search.settings import SearchSettings
from signclip_client import AsyncClient, Client
from tests.app.estimators import FakeEstimators
from tests.running import serving_in_thread

POSES = Path(__file__).parents[1] / "golden" / "poses"
CLIP = POSES / "ase_A.pose"


@pytest.fixture(scope="session")
def real_engine(tiny_weights: Path) -> Iterator[LocalEngine]:
    """An engine with the tiny model."""
    settings = EngineSettings(weights_dir=tiny_weights, default_model="tiny", device="cpu", backend="torch", threads=1)
    engine = LocalEngine(settings)
    yield engine
    engine.close()


def _serve(engine: LocalEngine, store: Path, **limits: int) -> Iterator[str]:
    """Serve the tiny model; videos are the names of golden poses."""
    search = SearchSettings(dir=str(store), maintain_s=0)
    settings = ServiceSettings(engine=engine.settings, search=search, **limits)
    with serving_in_thread(create_app(settings, engine, FakeEstimators())) as address:
        yield address


@pytest.fixture(scope="session")
def url(real_engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that takes few items at once."""
    yield from _serve(real_engine, tmp_path_factory.mktemp("search"), max_items=8, max_texts=40)


@pytest.fixture(scope="session")
def roomy_url(real_engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same service, that takes many."""
    yield from _serve(real_engine, tmp_path_factory.mktemp("search"), max_items=1000, max_texts=1000)


class AwaitedClient:
    """AsyncClient with methods that wait, so that one test holds both clients to the same."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self._client, self._runner = client, runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given, **options: self._runner.run(getattr(self._client, name)(*given, **options))


MakeClient = Callable[..., Any]


@pytest.fixture(params=["Client", "AsyncClient"])
def make_client(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Build a client of either kind."""
    if request.param == "Client":
        made: list[Client] = []

        def make(*given: Any, **options: Any) -> Client:
            made.append(Client(*given, **options))
            return made[-1]

        yield make
        for made_client in made:
            made_client.close()
        return
    with asyncio.Runner() as runner:
        awaited: list[AwaitedClient] = []

        def make_awaited(*given: Any, **options: Any) -> AwaitedClient:
            awaited.append(AwaitedClient(AsyncClient(*given, **options), runner))
            return awaited[-1]

        yield make_awaited
        for awaited_client in awaited:
            awaited_client.close()


class Faulty:
    """Gives the answers of a list, one after the other; an exception is raised in place of an answer.

    Attributes:
        requests: what was sent.
    """

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self._lock = threading.Lock()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        with self._lock:
            self.requests.append(request)
            answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def transport(self) -> httpx2.MockTransport:
        """For a client of either kind."""
        return httpx2.MockTransport(self)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that clients would have waited."""
    waited: list[float] = []

    async def wait_async(self: AsyncClient, seconds: float) -> None:
        waited.append(seconds)

    def wait(self: Client, seconds: float, stopped: threading.Event) -> bool:
        waited.append(seconds)
        return stopped.is_set()

    monkeypatch.setattr(Client, "_wait", wait)
    monkeypatch.setattr(AsyncClient, "_wait", wait_async)
    return waited
