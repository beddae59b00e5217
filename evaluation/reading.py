"""A data set's clips as a model takes them, read one after another; what cannot be read is left out and listed."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from corpora.clip_files import read_features
from corpora.errors import ClipError
from corpora.examples import Example
from models.catalog import ModelConfig
from poses import FeatureOptions


class ClipReader:
    """Features of examples, in order; iterate once.

    Args:
        options: flip and anonymize, done to every pose first.
        skip_long: leave clips over the model's max_frames out, as the authors do outside of Spreadthesign; else they
            are cut.
    Attributes:
        kept: examples whose features came, so far.
        skipped: why others did not, by id.
    """

    def __init__(
        self, examples: Sequence[Example], config: ModelConfig, options: FeatureOptions, *, skip_long: bool = False
    ) -> None:
        self._examples = examples
        self._config = config
        self._options = options
        self._skip_long = skip_long
        self.kept: list[Example] = []
        self.skipped: dict[str, str] = {}

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        for example in self._examples:
            try:
                features = read_features(example, self._config.features, self._options)
            except ClipError as error:
                self.skipped[example.id] = str(error)
                continue
            if self._skip_long and len(features) > self._config.max_frames:
                self.skipped[example.id] = f"{len(features)} frames; the model takes {self._config.max_frames}"
                continue
            self.kept.append(example)
            yield features
