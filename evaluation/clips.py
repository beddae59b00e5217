"""A data set's clips as a model takes them, read one after another; what cannot be read is left out and listed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpora.cache import FeatureCache
from corpora.examples import Corpus, Example, Skipped
from corpora.loading import Clips
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
        clips = Clips(self._corpus, self._config.features, options=self._options)
        if self._reading.cache is not None:
            clips = clips.fill_cache(self._reading.cache, workers=self._reading.workers)
            self.skipped |= {note.id: note.reason for note in clips.unreadable}
        for clip in clips.stream(workers=self._reading.workers):
            if isinstance(clip, Skipped):
                self.skipped[clip.id] = clip.reason
            elif self._skip_long and len(clip.features) > self._config.max_frames:
                frames = f"{len(clip.features)} frames; the model takes {self._config.max_frames}"
                self.skipped[clip.example.id] = frames
            else:
                self.kept.append(clip.example)
                yield clip.features
