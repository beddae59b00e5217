"""Clips by index: features and example, parsed by as many processes as asked for, and only once with a cache."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from corpora.cache import FeatureCache, Place
from corpora.clip_files import read_features
from corpora.errors import ClipError, ClipOutOfReachError, WorkerLostError
from corpora.examples import Corpus, Example, Skipped
from poses import FeatureOptions

Features = npt.NDArray[np.float32]
Result = TypeVar("Result")
OnClip = Callable[[int, int], None]
"""Called with how many clips are done and how many there are."""


def advance(bar: tqdm[object]) -> OnClip:
    """Move a progress bar as clips are done."""

    def on_clip(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return on_clip


_BATCH = 16
"""Clips a worker gets at a time: sending one costs as much as parsing it, sending 16 does not."""
_AHEAD = 2
"""Batches a worker may be ahead of whoever takes them, which bounds memory: 32 clips of 0.6 MB a worker."""
_WRITE_BYTES = 64 * 1024**2
"""Features gathered before they are written: a write waits for the disk, so there should be few."""

_DEFAULT_OPTIONS = FeatureOptions()


class Passing(str):
    """Why a clip could not be read, where that may be otherwise the next time: no cache keeps it."""


class LoadedClip(NamedTuple):
    """A clip as a model needs it.

    Attributes:
        features: float32 (frames, dim); read-only where it comes from a cache.
        example: what it shows.
    """

    features: Features
    example: Example


class Clips(Sequence[LoadedClip]):
    """A data set's clips by index, read when asked for. Goes to other processes cheaply: it holds no features.

    Attributes:
        corpus: its examples are the clips, in order; without those known to be unreadable.
        kind: of the features.
        options: what is done to poses first.
        unreadable: examples that a cache knows to be unreadable, and why.
        frames: int64 (clips,), known without reading; None without a cache.
    """

    def __init__(self, corpus: Corpus, kind: str | None = None, *, options: FeatureOptions = _DEFAULT_OPTIONS) -> None:
        self.corpus = corpus
        self.kind = kind or corpus.features
        self.options = options
        self.unreadable: tuple[Skipped, ...] = ()
        self.frames: npt.NDArray[np.int64] | None = None
        self._cache: FeatureCache | None = None
        self._places: npt.NDArray[np.int64] = np.empty((0, 4), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.corpus)

    def __getitem__(self, index: int) -> LoadedClip:  # type: ignore[override]  # no slices: they would read everything
        """Read one clip.

        Raises:
            ClipError: its file cannot be used; never with a cache, which leaves such clips out.
            CacheError: the cache's files were changed meanwhile.
        """
        return LoadedClip(self.features(index), self.corpus.examples[index])

    def features(self, index: int) -> Features:
        """Read one clip's features alone: float32 (frames, dim), as in `LoadedClip`.

        Raises:
            ClipError, CacheError: as when reading a clip.
        """
        if self._cache is None:
            return read_features(self.corpus.examples[index], self.kind, self.options)
        shard, offset, frames, dim = self._places[index].tolist()
        return self._cache.read(Place(shard, offset, frames, dim))

    def without_examples(self) -> Clips:
        """The same for `features` alone, if there is a cache: half a million examples take each worker 0.5 GB."""
        if self._cache is None:
            return self
        bare = Clips(self.corpus.subset(()), self.kind, options=self.options)
        bare._cache, bare._places, bare.frames = self._cache, self._places, self.frames
        return bare

    def stream(self, *, workers: int = 1) -> Iterator[LoadedClip | Skipped]:
        """Read all clips in order, each once, ahead by a few: for whoever goes through them once without a cache.

        Args:
            workers: processes that parse; 1 parses in this one.
        Returns:
            For each example its clip, or the note that it cannot be read.
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

    def cached(self, cache: FeatureCache, *, workers: int = 1, on_clip: OnClip | None = None) -> Clips:
        """Parse what the cache does not have yet, and read from it from now on.

        Several processes may do this at once and no harm comes of it, but each parses what it does not find at its
        start: of several training processes, let one go first.

        Args:
            cache: where features are and go.
            workers: processes that parse; 1 parses in this one.
            on_clip: told of progress.
        Returns:
            The clips that can be read; the others are its `unreadable`.
        Raises:
            CacheError, WorkerLostError
        """
        examples = self.corpus.examples
        keys = [cache.key(self.corpus.name, example, self.kind, self.options) for example in examples]
        present = [key for key in keys if key is not None]
        places, reasons = cache.look_up(present)
        unknown = [
            (key, example)
            for key, example in zip(keys, examples, strict=True)
            if key is not None and key not in places and key not in reasons
        ]
        if unknown:
            passing = self._parse(unknown, cache, workers, on_clip)
            places, reasons = cache.look_up(present)
            reasons |= passing
        readable = [(places[key], e) for key, e in zip(keys, examples, strict=True) if key in places]
        clips = Clips(self.corpus.subset([example for _, example in readable]), self.kind, options=self.options)
        clips._cache = cache
        clips._places = np.array([(p.shard, p.offset, p.frames, p.dim) for p, _ in readable], np.int64).reshape(-1, 4)
        clips.frames = clips._places[:, 2]
        clips.unreadable = tuple(
            Skipped(example.id, f"{example.path}: the file is gone" if key is None else reasons[key])
            for key, example in zip(keys, examples, strict=True)
            if key not in places
        )
        return clips

    def _parse(
        self, unknown: list[tuple[bytes, Example]], cache: FeatureCache, workers: int, on_clip: OnClip | None
    ) -> dict[bytes, str]:
        """Fill the cache; returns the reasons that it does not keep."""
        parse = partial(_parse_clip, kind=self.kind, options=self.options)
        passing: dict[bytes, str] = {}
        batch: list[tuple[bytes, Features]] = []
        reasons: list[tuple[bytes, str]] = []
        gathered = 0
        parsed = map_clips(parse, [example for _, example in unknown], workers=workers)
        for done, ((key, _), result) in enumerate(zip(unknown, parsed, strict=True), start=1):
            if isinstance(result, Passing):
                passing[key] = result
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
        cache.add(batch, reasons)
        return passing


def _parse_clip(example: Example, *, kind: str, options: FeatureOptions) -> Features | str:
    try:
        return read_features(example, kind, options)
    except ClipOutOfReachError as error:
        return Passing(error)
    except ClipError as error:
        return str(error)


def map_clips(
    function: Callable[[Example], Result], examples: Sequence[Example], *, workers: int = 1
) -> Iterator[Result]:
    """Call a function on examples in several processes, and give its results in order.

    At most two batches of 16 results a worker wait to be taken, however slow whoever takes them is.

    Args:
        function: sent to the workers, so a module's own or a partial of one; an exception in it comes out here.
        examples: what to call it on.
        workers: processes; 1 calls it in this one.
    Raises:
        WorkerLostError: a worker died.
    """
    if workers <= 1 or len(examples) <= _BATCH:
        yield from map(function, examples)
        return
    # Spawned, not forked: whoever trains has threads and a device by now, and a fork would copy locks that they hold.
    context = multiprocessing.get_context("spawn")
    batches = (examples[start : start + _BATCH] for start in range(0, len(examples), _BATCH))
    waiting: deque[Future[list[Result]]] = deque()
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        for batch in batches:
            waiting.append(pool.submit(_call_on_batch, function, batch))
            if len(waiting) >= workers * _AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise WorkerLostError(f"one of {workers} reading processes died, most often for want of memory") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _call_on_batch(function: Callable[[Example], Result], batch: Sequence[Example]) -> list[Result]:
    return [function(example) for example in batch]
