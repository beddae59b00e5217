"""The client for code that waits: one method for each route of the service."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import count
from typing import Unpack

import httpx2

from signclip_client import calls, comparison
from signclip_client.chunks import Clip
from signclip_client.collection_methods import CollectionMethods
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
from signclip_client.recognition_methods import RecognitionMethods
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


class Client(CollectionMethods, RecognitionMethods):
    """Embeds, compares and estimates through a SignCLIP service.

        with Client("http://localhost:3030") as client:
            texts = client.embed_text(["A", "B"], sign_language="ase")
            poses = client.embed_pose("a.pose")
            print(poses.vectors @ texts.vectors.T)      # cosine similarities

    Clips are paths or bytes. A long list is sent in parts, several at a time; the result is one. All methods raise the
    classes of signclip_client.errors. Threads may share a client.

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
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.configuration = Configuration(url, api_key, model, limits or Limits())
        self._http = httpx2.Client(
            base_url=self.configuration.base_url,
            headers=self.configuration.headers,
            transport=transport,
        )

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Client:
        """Build a client from SIGNCLIP_CLIENT_URL, _API_KEY, _MODEL and _TIMEOUT_S of the environment.

        Raises:
            ValueError: the timeout is not a number above 0.
        """
        found = Configuration.from_env(environment)
        return cls(found.url, api_key=found.api_key, model=found.model, limits=found.limits)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def embed_text(
        self, texts: str | Sequence[str], *, progress: OnProgress | None = None, **options: Unpack[TextOptions]
    ) -> Embeddings:
        """Embed one text or several; vectors are float32 (texts, dimensions)."""
        return self._run(calls.embed(self.configuration, "text", texts, options), progress)

    def embed_pose(
        self, poses: Clip | Sequence[Clip], *, progress: OnProgress | None = None, **options: Unpack[PoseOptions]
    ) -> Embeddings:
        """Embed one .pose file or several; vectors are float32 (poses, dimensions)."""
        return self._run(calls.embed(self.configuration, "pose", poses, options), progress)

    def embed_video(
        self, videos: Clip | Sequence[Clip], *, progress: OnProgress | None = None, **options: Unpack[VideoOptions]
    ) -> Embeddings:
        """Estimate the poses in one video or several, and embed them; vectors are float32 (videos, dimensions)."""
        return self._run(calls.embed(self.configuration, "video", videos, options), progress)

    def similarity(
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
        return self._run(wanted, progress)

    def estimate_pose(
        self,
        videos: Clip | Sequence[Clip],
        *,
        progress: OnProgress | None = None,
        **options: Unpack[EstimationOptions],
    ) -> Estimation:
        """Estimate the poses in one video or several."""
        return self._run(calls.estimate(self.configuration, videos, options), progress)

    def inspect_pose(self, pose: Clip, **options: Unpack[InspectOptions]) -> Inspection:
        """Report on what a .pose file holds, and on the models that take it."""
        return self._run(calls.inspect(pose, options))

    def list_models(self) -> Models:
        """List the models of the service."""
        return self._run(calls.get("/api/models", Models))

    def list_languages(self) -> tuple[Language, ...]:
        """List the sign languages."""
        return self._run(calls.list_all("/api/languages", "languages", Language))

    def list_samples(self) -> tuple[Sample, ...]:
        """List the clips that ship with the service."""
        return self._run(calls.list_all("/samples", "samples", Sample))

    def fetch_sample(self, name: str) -> bytes:
        """Fetch a clip that ships with the service."""
        return self._run(calls.fetch(calls.name_path("/samples/{}", name)))

    def check_health(self) -> Health:
        """Ask whether the service answers, and for its version."""
        return self._run(calls.get("/healthz", Health))

    def check_readiness(self) -> Readiness:
        """Ask which model is ready; UnavailableError: none is yet, after limits.tries questions."""
        return self._run(calls.get("/readyz", Readiness))

    def read_metrics(self) -> str:
        """Read the service's counters, in Prometheus's form."""
        return self._run(calls.read_metrics())

    def wait_until_ready(self, timeout_s: float = 120.0) -> Readiness:
        """Wait until the service can serve.

        Raises:
            UnavailableError, NoAnswerError: it could not in this time.
        """
        call = calls.get("/readyz", Readiness)
        give_up = time.monotonic() + timeout_s
        while True:
            try:
                return call.read_answers(
                    self._send(call.requests[0], threading.Event(), limit_question(self.configuration, give_up))
                )
            except (UnavailableError, NoAnswerError):
                if time.monotonic() + _POLL_S > give_up:
                    raise
            self._wait(_POLL_S, threading.Event())

    def _run(self, call: Call[Result], progress: OnProgress | None = None) -> Result:
        total = sum(map(count_items, call.requests))
        stopped = threading.Event()
        if len(call.requests) == 1:
            answers = self._send(call.requests[0], stopped)
            if progress is not None:
                progress(Progress(total, total))
            return call.read_answers(answers)
        threads = ThreadPoolExecutor(self.configuration.limits.concurrency, thread_name_prefix="signclip-client")
        try:
            futures = {threads.submit(self._send_part, request, stopped): request for request in call.requests}
            done = 0
            for future in as_completed(futures):
                future.result()
                done += count_items(futures[future])
                if progress is not None:
                    progress(Progress(done, total))
        finally:
            # After a failure nothing more is sent; what is on its way is waited for, because it holds connections.
            stopped.set()
            threads.shutdown(cancel_futures=True)
        return call.read_answers([answer for future in futures for answer in future.result()])

    def _send_part(self, request: Request, stopped: threading.Event) -> list[Answer]:
        """Send a part of a list, unless another part has failed."""
        if stopped.is_set():
            return []
        try:
            return self._send(request, stopped)
        except BaseException:
            stopped.set()
            raise

    def _send(self, request: Request, stopped: threading.Event, limits: Limits | None = None) -> list[Answer]:
        """Send a request as often as it takes; more than one answer where it had to be split."""
        body, limits = request.encode_body(), limits or self.configuration.limits
        may_be_done = False
        for attempt in count(1):
            try:
                response = self._http.request(
                    request.method,
                    request.path,
                    content=body,
                    headers=make_http_headers(request),
                    timeout=limits.timeout_s,
                )
                outcome = judge_answer(request, response, limits, attempt=attempt, may_be_done=may_be_done)
            except httpx2.RequestError as error:
                outcome = judge_failure(request, error, limits, attempt=attempt, url=self.configuration.base_url)
            if isinstance(outcome, Pause):
                may_be_done |= outcome.may_be_done
                if self._wait(outcome.seconds, stopped):
                    break
            elif isinstance(outcome, Halves):
                return self._send(outcome.first, stopped) + self._send(outcome.second, stopped)
            else:
                return [outcome]
        return []

    def _wait(self, seconds: float, stopped: threading.Event) -> bool:
        """Wait; True when another part of the list has failed meanwhile."""
        return stopped.wait(seconds)
