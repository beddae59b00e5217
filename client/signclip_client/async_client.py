"""The client for code that runs on asyncio: the same methods as Client's, to be awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Unpack

import httpx2

from signclip_client import calls, comparison
from signclip_client.async_collection_methods import AsyncCollectionMethods
from signclip_client.async_recognition_methods import AsyncRecognitionMethods
from signclip_client.chunks import Clip
from signclip_client.configuration import DEFAULT_URL, Configuration, Limits
from signclip_client.errors import NoAnswerError, UnavailableError
from signclip_client.exchange import (
    Halves,
    OnProgress,
    Pause,
    Progress,
    count_items,
    judge_answer,
    judge_failure,
    limit_question,
    make_http_headers,
)
from signclip_client.messages import Answer, Call, Request
from signclip_client.options import (
    EstimationOptions,
    InspectOptions,
    PoseOptions,
    SimilarityOptions,
    TextOptions,
    VideoOptions,
)
from signclip_client.results import (
    Embeddings,
    Estimation,
    Health,
    Inspection,
    Language,
    Models,
    Readiness,
    Result,
    Sample,
    Similarity,
)

# Between two questions whether the service is ready.
_POLL_S = 0.5


class AsyncClient(AsyncCollectionMethods, AsyncRecognitionMethods):
    """Client for asyncio.

        async with AsyncClient("http://localhost:3030") as client:
            texts = await client.embed_text(["A", "B"], sign_language="ase")

    Args:
        url: where the service is; http:// if it does not say.
        api_key: when the service asks for one.
        model: a name of list_models(); None: the service's default.
        limits: how much is sent at once, and how patiently.
        transport: of httpx2, in place of the network; for tests.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        model: str | None = None,
        limits: Limits | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.configuration = Configuration(url, api_key, model, limits or Limits())
        self._http = httpx2.AsyncClient(
            base_url=self.configuration.base_url,
            headers=self.configuration.headers,
            transport=transport,
        )

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> AsyncClient:
        """Build a client from the environment, as Client.from_env does.

        Raises:
            ValueError: the timeout is not a number above 0.
        """
        found = Configuration.from_env(environment)
        return cls(found.url, api_key=found.api_key, model=found.model, limits=found.limits)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def embed_text(
        self, texts: str | Sequence[str], *, progress: OnProgress | None = None, **options: Unpack[TextOptions]
    ) -> Embeddings:
        """Embed one text or several; vectors are float32 (texts, dimensions)."""
        return await self._run(calls.embed(self.configuration, "text", texts, options), progress)

    async def embed_pose(
        self, poses: Clip | Sequence[Clip], *, progress: OnProgress | None = None, **options: Unpack[PoseOptions]
    ) -> Embeddings:
        """Embed one .pose file or several; vectors are float32 (poses, dimensions)."""
        return await self._run(calls.embed(self.configuration, "pose", poses, options), progress)

    async def embed_video(
        self, videos: Clip | Sequence[Clip], *, progress: OnProgress | None = None, **options: Unpack[VideoOptions]
    ) -> Embeddings:
        """Estimate the poses in one video or several, and embed them; vectors are float32 (videos, dimensions)."""
        return await self._run(calls.embed(self.configuration, "video", videos, options), progress)

    async def similarity(
        self,
        *,
        texts: str | Sequence[str] = (),
        poses: Clip | Sequence[Clip] = (),
        videos: Clip | Sequence[Clip] = (),
        progress: OnProgress | None = None,
        **options: Unpack[SimilarityOptions],
    ) -> Similarity:
        """Compare clips with texts, or the items of one kind with each other; scores are float32 (rows, columns)."""
        wanted = comparison.compare(self.configuration, texts=texts, poses=poses, videos=videos, options=options)
        return await self._run(wanted, progress)

    async def estimate_pose(
        self,
        videos: Clip | Sequence[Clip],
        *,
        progress: OnProgress | None = None,
        **options: Unpack[EstimationOptions],
    ) -> Estimation:
        """Estimate the poses in one video or several."""
        return await self._run(calls.estimate(self.configuration, videos, options), progress)

    async def inspect_pose(self, pose: Clip, **options: Unpack[InspectOptions]) -> Inspection:
        """Report on what a .pose file holds, and on the models that take it."""
        return await self._run(calls.inspect(pose, options))

    async def list_models(self) -> Models:
        """List the models of the service."""
        return await self._run(calls.get("/api/models", Models))

    async def list_languages(self) -> tuple[Language, ...]:
        """List the sign languages."""
        return await self._run(calls.list_all("/api/languages", "languages", Language))

    async def list_samples(self) -> tuple[Sample, ...]:
        """List the clips that ship with the service."""
        return await self._run(calls.list_all("/samples", "samples", Sample))

    async def fetch_sample(self, name: str) -> bytes:
        """Fetch a clip that ships with the service."""
        return await self._run(calls.fetch(calls.name_path("/samples/{}", name)))

    async def check_health(self) -> Health:
        """Ask whether the service answers, and for its version."""
        return await self._run(calls.get("/healthz", Health))

    async def check_readiness(self) -> Readiness:
        """Ask which model is ready; UnavailableError: none is yet, after limits.tries questions."""
        return await self._run(calls.get("/readyz", Readiness))

    async def read_metrics(self) -> str:
        """Read the service's counters, in Prometheus's form."""
        return await self._run(calls.read_metrics())

    async def wait_until_ready(self, timeout_s: float = 120.0) -> Readiness:
        """Wait until the service can serve.

        Raises:
            UnavailableError, NoAnswerError: it could not in this time.
        """
        call = calls.get("/readyz", Readiness)
        give_up = time.monotonic() + timeout_s
        while True:
            try:
                return call.read_answers(
                    await self._send(call.requests[0], limit_question(self.configuration, give_up))
                )
            except (UnavailableError, NoAnswerError):
                if time.monotonic() + _POLL_S > give_up:
                    raise
            await self._wait(_POLL_S)

    async def _run(self, call: Call[Result], progress: OnProgress | None = None) -> Result:
        total = sum(map(count_items, call.requests))
        places = asyncio.Semaphore(self.configuration.limits.concurrency)
        done = 0

        async def send(request: Request) -> list[Answer]:
            nonlocal done
            async with places:
                answers = await self._send(request)
            done += count_items(request)
            if progress is not None:
                progress(Progress(done, total))
            return answers

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(send(request)) for request in call.requests]
        except BaseExceptionGroup as failures:
            # The first failure has cancelled the others; callers look for its class.
            raise failures.exceptions[0] from failures.exceptions[0].__cause__
        return call.read_answers([answer for task in tasks for answer in task.result()])

    async def _send(self, request: Request, limits: Limits | None = None) -> list[Answer]:
        """Send a request as often as it takes; more than one answer where it had to be split."""
        # Reading files would hold up everything else that runs here.
        body, limits = await asyncio.to_thread(request.encode_body), limits or self.configuration.limits
        may_be_done = False
        for attempt in count(1):
            try:
                response = await self._http.request(
                    request.method,
                    request.path,
                    content=body,
                    headers=make_http_headers(request),
                    timeout=limits.timeout_s,
                )
                outcome = judge_answer(request, response, limits, attempt=attempt, may_be_done=may_be_done)
            except httpx2.RequestError as error:
                outcome = judge_failure(request, error, limits, attempt=attempt, url=self.configuration.base_url)
            if isinstance(outcome, Halves):
                return [*await self._send(outcome.first), *await self._send(outcome.second)]
            if not isinstance(outcome, Pause):
                return [outcome]
            may_be_done |= outcome.may_be_done
            await self._wait(outcome.seconds)
        raise AssertionError("the tries never end without an answer or an error")

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
