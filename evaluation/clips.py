"""The clips of a data set in the form that a model takes, read one by one; unreadable clips are listed."""

from collections.abc import Iterator
from dataclasses import dataclass

from corpora.arrays import Float32Array
from corpora.cache import FeatureCache
from corpora.examples import Corpus, Example, Skipped
from corpora.loading import Clips
from models.catalog import ModelConfig
from poses import FeatureOptions


@dataclass(frozen=True)
class ReadingOptions:
    """How clips are read. The options change the time that reading takes, but no result.

    Attributes:
        cache: keeps features, so that the next evaluation parses nothing; None: every evaluation parses.
        workers: number of processes that parse.
    """

    cache: FeatureCache | None = None
    workers: int = 1


class ClipReader:
    """The features of a data set's examples, in order. It can be iterated once.

    Args:
        corpus: the data set.
        config: of the model, which sets the kind of features and the longest clip.
        options: flip, anonymize and trim; they change each pose before features are computed.
        skip_long: leave out clips that are longer than the model's max_frames, as the authors do outside
            Spreadthesign; False keeps them, and the model cuts them.
        reading: the cache and the number of processes.
    Attributes:
        kept: the examples whose features were returned so far.
        skipped: by id, why the other examples were left out.
    """

    def __init__(
        self,
        corpus: Corpus,
        config: ModelConfig,
        *,
        options: FeatureOptions,
        skip_long: bool = False,
        reading: ReadingOptions | None = None,
    ) -> None:
        self._corpus = corpus
        self._config = config
        self._options = options
        self._skip_long = skip_long
        self._reading = reading or ReadingOptions()
        self.kept: list[Example] = []
        self.skipped: dict[str, str] = {}

    def __iter__(self) -> Iterator[Float32Array]:
        """Yield float32 (frames, features) for each readable example.

        Raises:
            CacheError: the cache cannot be used.
            WorkerLostError: a reading process died.
        """
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
