"""A data set's clips as a model takes them, read one after another; what cannot be read is left out and listed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from corpora.cache import FeatureCache
from corpora.clip_files import read_features
from corpora.errors import ClipError
from corpora.examples import Corpus, Example
from corpora.loading import Clips, map_clips
from models.catalog import ModelConfig
from poses import FeatureOptions

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """How clips are read; changes time, nothing else.

    Attributes:
        cache: keeps features, so that the next evaluation parses nothing.
        workers: processes that parse.
    """

    cache: FeatureCache | None = None
    workers: int = 1


class ClipReader:
    """Features of a data set's examples, in order; iterate once.

    Args:
        options: flip and anonymize, done to every pose first.
        skip_long: leave clips over the model's max_frames out, as the authors do outside of Spreadthesign; else they
            are cut.
    Attributes:
        kept: examples whose features came, so far.
        skipped: why others did not, by id.
    """

    def __init__(
        self,
        corpus: Corpus,
        config: ModelConfig,
        options: FeatureOptions,
        *,
        skip_long: bool = False,
        reading: Reading | None = None,
    ) -> None:
        self._corpus = corpus
        self._config = config
        self._options = options
        self._skip_long = skip_long
        self._reading = reading or Reading()
        self.kept: list[Example] = []
        self.skipped: dict[str, str] = {}

    def __iter__(self) -> Iterator[Floats]:
        for example, features in self._read():
            if isinstance(features, str):
                self.skipped[example.id] = features
            elif self._skip_long and len(features) > self._config.max_frames:
                self.skipped[example.id] = f"{len(features)} frames; the model takes {self._config.max_frames}"
            else:
                self.kept.append(example)
                yield features

    def _read(self) -> Iterator[tuple[Example, Floats | str]]:
        kind, workers = self._config.features, self._reading.workers
        if self._reading.cache is None:
            read = partial(_read_clip, kind=kind, options=self._options)
            yield from zip(self._corpus.examples, map_clips(read, self._corpus.examples, workers=workers), strict=True)
            return
        clips = Clips(self._corpus, kind, options=self._options).cached(self._reading.cache, workers=workers)
        self.skipped |= {note.id: note.reason for note in clips.unreadable}
        for features, example in clips:
            yield example, features


def _read_clip(example: Example, *, kind: str, options: FeatureOptions) -> Floats | str:
    try:
        return read_features(example, kind, options)
    except ClipError as error:
        return str(error)
