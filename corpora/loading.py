"""The clips of a data set by index: parsed by one or several processes, and only once if there is a cache."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from corpora.arrays import Float32Array, Int64Array
from corpora.cache import FeatureCache, Place
from corpora.clip_files import read_features
from corpora.errors import ClipError, ClipOutOfReachError, WorkerLostError
from corpora.examples import Corpus, Example, Skipped
from poses import FeatureOptions
from processes.parents import end_with_parent

Result = TypeVar("Result")
OnClip = Callable[[int, int], None]
"""Called after each clip with the number of finished clips and the number of all clips."""
# A worker gets 16 clips at a time: sending a single clip takes as long as parsing it.
_BATCH = 16
# A worker may be two batches ahead of the reader of its results. That bounds memory to 32 clips of 0.6 MB a worker.
_AHEAD = 2
# Features are collected up to this size before they are written, because each write waits for the disk.
_WRITE_BYTES = 64 * 1024**2
_DEFAULT_OPTIONS = FeatureOptions()


def track_clips(bar: tqdm[object]) -> OnClip:
    """Return a function that moves a progress bar after each clip."""

    def on_clip(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return on_clip


class TransientReason(str):
    """The reason of a transient failure (file out of reach). It is reported but never cached."""


class LoadedClip(NamedTuple):
    """A clip as a model needs it.

    Attributes:
        features: float32 (frames, dim); read-only if it comes from a cache.
        example: what the clip shows.
    """

    features: Float32Array
    example: Example


class Clips(Sequence[LoadedClip]):
    """The clips of a data set by index. Each is read when it is requested.

    The object holds no features, so sending it to another process is cheap.

    Attributes:
        corpus: its examples are the clips, in order, without the unreadable ones that the cache knows of.
        kind: of the features.
        options: changes to each pose before features are computed.
        unreadable: the examples that the cache knows to be unreadable, and the reasons.
        frames: int64 (clips,), each clip's length; None without a cache, where lengths are unknown before reading.
    """

    def __init__(self, corpus: Corpus, kind: str | None = None, *, options: FeatureOptions = _DEFAULT_OPTIONS) -> None:
        self.corpus = corpus
        self.kind = kind or corpus.features
        self.options = options
        self.unreadable: tuple[Skipped, ...] = ()
        self.frames: Int64Array | None = None
        self._cache: FeatureCache | None = None
        self._places: Int64Array = np.empty((0, 4), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.corpus)

    def __getitem__(self, index: int) -> LoadedClip:  # type: ignore[override]  # No slices: they would read everything.
        """Read one clip.

        Raises:
            ClipError: the clip's file cannot be used. This never happens with a cache, which leaves such clips out.
            CacheError: the cache's files were changed in the meantime.
        """
        return LoadedClip(self.read_features(index), self.corpus.examples[index])

    def read_features(self, index: int) -> Float32Array:
        """Read the features of one clip, without its example.

        Returns:
            float32 (frames, dim); read-only if it comes from a cache.
        Raises:
            ClipError, CacheError: as when a clip is read by its index.
        """
        if self._cache is None:
            return read_features(self.corpus.examples[index], self.kind, self.options)
        shard, offset, frames, dim = self._places[index].tolist()
        return self._cache.read(Place(shard, offset, frames, dim))

    def drop_examples(self) -> Clips:
        """Return the same clips for `read_features` only, if there is a cache.

        Half a million examples would take 0.5 GB in each worker.
        """
        if self._cache is None:
            return self
        bare = Clips(self.corpus.select(()), self.kind, options=self.options)
        bare._cache, bare._places, bare.frames = self._cache, self._places, self.frames
        return bare

    def stream(self, *, workers: int = 1) -> Iterator[LoadedClip | Skipped]:
        """Read all clips once, in order, and parse a few ahead. A single pass needs no cache.

        Args:
            workers: number of processes that parse; 1 parses in this process.
        Returns:
            For each example its clip, or a note that it cannot be read.
        Raises:
            WorkerLostError: a worker died.
        """
        if self._cache is not None:
            yield from self
            return
        parse = partial(_parse_clip, kind=self.kind, options=self.options)
        results = map_clips(parse, self.corpus.examples, workers=workers)
        for example, result in zip(self.corpus.examples, results, strict=True):
            yield Skipped(example.id, result) if isinstance(result, str) else LoadedClip(result, example)

    def fill_cache(self, cache: FeatureCache, *, workers: int = 1, on_clip: OnClip | None = None) -> Clips:
        """Parse the clips that the cache does not have yet, and return clips that read from the cache.

        Several processes may do this at the same time without harm, but each parses all clips that are missing when
        it starts. If several processes train together, let one of them go first.

        Args:
            cache: where features are read and written.
            workers: number of processes that parse; 1 parses in this process.
            on_clip: called after each parsed clip.
        Returns:
            The clips that can be read. Its `unreadable` lists the others.
        Raises:
            CacheError: the cache's folder cannot be used.
            WorkerLostError: a worker died.
        """
        examples = self.corpus.examples
        keys = [cache.make_key(self.corpus.name, example, self.kind, self.options) for example in examples]
        present = [key for key in keys if key is not None]
        places, reasons = cache.look_up(present)
        unknown = [
            (key, example)
            for key, example in zip(keys, examples, strict=True)
            if key is not None and key not in places and key not in reasons
        ]
        if unknown:
            transient = self._parse(unknown, cache, workers, on_clip)
            places, reasons = cache.look_up(present)
            reasons |= transient
        readable = [(places[key], e) for key, e in zip(keys, examples, strict=True) if key in places]
        clips = Clips(self.corpus.select([example for _, example in readable]), self.kind, options=self.options)
        clips._cache = cache
        clips._places = np.array([(p.shard, p.offset, p.frames, p.dim) for p, _ in readable], np.int64).reshape(-1, 4)
        clips.frames = clips._places[:, 2]
        clips.unreadable = tuple(
            Skipped(example.id, f"{example.path}: the file does not exist" if key is None else reasons[key])
            for key, example in zip(keys, examples, strict=True)
            if key not in places
        )
        return clips

    def _parse(
        self, unknown: list[tuple[bytes, Example]], cache: FeatureCache, workers: int, on_clip: OnClip | None
    ) -> dict[bytes, str]:
        """Fill the cache, and return the reasons of transient failures, which it does not keep."""
        parse = partial(_parse_clip, kind=self.kind, options=self.options)
        transient: dict[bytes, str] = {}
        batch: list[tuple[bytes, Float32Array]] = []
        reasons: list[tuple[bytes, str]] = []
        gathered = 0
        parsed = map_clips(parse, [example for _, example in unknown], workers=workers)
        for done, ((key, _), result) in enumerate(zip(unknown, parsed, strict=True), start=1):
            if isinstance(result, TransientReason):
                transient[key] = result
            elif isinstance(result, str):
                reasons.append((key, result))
            else:
                batch.append((key, result))
                gathered += result.nbytes
            if gathered >= _WRITE_BYTES:
                cache.add(batch, reasons)
                batch, reasons, gathered = [], [], 0
            if on_clip is not None:
                on_clip(done, len(unknown))
        if batch or reasons:  # a cache that can only be read serves a data set of which nothing is new
            cache.add(batch, reasons)
        return transient


def _parse_clip(example: Example, *, kind: str, options: FeatureOptions) -> Float32Array | str:
    try:
        return read_features(example, kind, options)
    except ClipOutOfReachError as error:
        return TransientReason(error)
    except ClipError as error:
        return str(error)


def map_clips(
    function: Callable[[Example], Result], examples: Sequence[Example], *, workers: int = 1
) -> Iterator[Result]:
    """Call a function on examples in several processes, and return its results in order.

    At most two batches of 16 results a worker wait in memory, however slowly the results are consumed.

    Args:
        function: defined in a module, or a partial of such a function, because it is sent to the workers. An exception
            in it is raised here.
        examples: the arguments, one a call.
        workers: number of processes; 1 calls the function in this process.
    Raises:
        WorkerLostError: a worker died.
    """
    if workers <= 1 or len(examples) <= _BATCH:
        yield from map(function, examples)
        return
    # Spawned, not forked: a training process has threads and a device by now, and a fork would copy their locks.
    context = multiprocessing.get_context("spawn")
    batches = (examples[start : start + _BATCH] for start in range(0, len(examples), _BATCH))
    waiting: deque[Future[list[Result]]] = deque()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent)
    try:
        for batch in batches:
            waiting.append(pool.submit(_call_on_batch, function, batch))
            if len(waiting) >= workers * _AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise WorkerLostError(
            f"one of {workers} reading processes died, most often because memory ran out; try fewer workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _call_on_batch(function: Callable[[Example], Result], batch: Sequence[Example]) -> list[Result]:
    return [function(example) for example in batch]
