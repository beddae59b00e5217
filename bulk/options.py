"""What decides a run's vectors: options of clips and of texts. A folder holds vectors of one set of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from models.catalog import ModelConfig
from models.signature import list_unusual_options
from poses.features import Flip
from poses.trim import Trim
from video.estimates import LEAST_SEEN


@dataclass(frozen=True)
class EmbedOptions:
    """What to do to clips and texts before they are embedded; the service's options of the same names.

    Attributes:
        flip: mirror clips; see poses.FeatureOptions.
        anonymize: remove the signer's appearance first.
        trim: cut clips to the signing; None: as the model does by default.
        person: which person of files that hold several.
        truncate: cut what is too long for the model; False: it fails.
        allow_no_hands: embed clips in which no hand is seen, too.
        min_seen: least share of a video's frames in which a person is seen.
        quality: report on each clip, which takes some 0.3 ms of a core.
    """

    flip: Flip = "never"
    anonymize: bool = False
    trim: Trim | None = None
    person: int | None = None
    truncate: bool = False
    allow_no_hands: bool = False
    min_seen: float = LEAST_SEEN
    quality: bool = True

    def list_unusual(self, config: ModelConfig) -> dict[str, str | bool]:
        """List the options that change vectors and are not at the model's default; they are part of the signature."""
        return list_unusual_options(config, flip=self.flip, anonymize=self.anonymize, trim=self.trim)

    def describe(self) -> dict[str, Any]:
        """Give every option by name, as JSON knows it."""
        return asdict(self)
