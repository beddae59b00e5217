"""The model of a run: prepared clips and texts in, unit vectors out, each as the service gives it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bulk.items import Failure, Item
from bulk.options import EmbedOptions
from models.backends import Array
from models.backends.choice import choose_device, choose_dtype, make_backend
from models.batching import split_by_length
from models.catalog import Catalog, ModelConfig
from models.embedding import FRAMES_AT_ONCE, TEXTS_AT_ONCE, EmbeddingModel
from models.errors import UnknownLanguageError
from models.prompts import build_prompt
from models.registry import Registry, find_model
from models.signature import compute_signature, compute_space
from models.vectors import Vectors, normalize_vectors
from poses.feature_kinds import find_kind

log = logging.getLogger(__name__)
Features = npt.NDArray[np.float32]
# As the service's default (SIGNCLIP_MAX_TEXT_CHARS).
_MAX_TEXT_CHARS = 10_000


@dataclass(frozen=True)
class Origin:
    """How the vectors of a run are made.

    Attributes:
        model: name of the model.
        checkpoint: SHA-256 of its checkpoint, hex.
        space: what the vectors may be compared with.
        signature: of the vectors of clips.
        text_signature: of the vectors of texts, which no option of clips changes.
        dimensions: numbers in a vector.
    """

    model: str
    checkpoint: str
    space: str
    signature: str
    text_signature: str
    dimensions: int


@dataclass(frozen=True)
class Embedded:
    """What became of some items.

    Attributes:
        vectors: float32 (items, embed_dim) of length 1; rows of 0 for items that failed.
        failures: why items failed, by their place.
    """

    vectors: Vectors
    failures: dict[int, Failure]


class BulkModel:
    """One model, loaded in this process.

    Args:
        name: of the catalog, or a folder that holds config.yaml.
        options: of the clips and texts.
        device, dtype: as for the service.
        threads: cores that one forward pass may use; None: all cores of the process.
    Raises:
        ModelsError: the model is unknown, its files are missing or damaged, or there is no such device.
    """

    def __init__(
        self, name: str, options: EmbedOptions, *, device: str = "auto", dtype: str = "auto", threads: int | None = None
    ) -> None:
        config, weights = find_model(name)
        device = choose_device(device)
        factory = partial(
            make_backend, backend="auto", device=device, dtype=choose_dtype(dtype, device), threads=threads
        )
        self._model: EmbeddingModel = Registry(Catalog({config.name: config}), weights, make_backend=factory).get(
            config.name
        )
        self._options = options
        self.config: ModelConfig = config

    def describe_origin(self) -> Origin:
        """Say how this model makes vectors with these options."""
        model, config = self._model, self.config
        version = find_kind(config.features).version
        sign = partial(compute_signature, config, digest=model.digest, dtype=model.dtype, features_version=version)
        return Origin(
            config.name,
            model.digest,
            compute_space(config, digest=model.digest, features_version=version),
            sign(options=self._options.list_unusual(config)),
            sign(options={}),
            config.embed_dim,
        )

    def embed_clips(self, clips: Sequence[Features]) -> Embedded:
        """Embed clips in batches of similar lengths.

        Args:
            clips: float32 (frames, features) each, no longer than the model allows.
        """
        lengths = np.array([len(clip) for clip in clips], dtype=np.int64)
        batches = split_by_length(lengths, positions_at_once=FRAMES_AT_ONCE)
        return self._run(
            lambda rows: self._model.embed_pose([clips[row] for row in rows], normalize=False),
            list(batches),
            len(clips),
        )

    def embed_texts(self, items: Sequence[Item]) -> Embedded:
        """Embed texts as prompts of their languages, or as they are where they name none."""
        prompts: dict[int, str] = {}
        failures: dict[int, Failure] = {}
        for row, item in enumerate(items):
            try:
                prompts[row] = self._write_prompt(item)
            except UnknownLanguageError as error:
                failures[row] = Failure(error.code, str(error))
        inputs = self._tokenize(items, prompts, failures)
        kept = sorted(inputs, key=lambda row: len(inputs[row]))
        batches = [np.array(kept[start : start + TEXTS_AT_ONCE]) for start in range(0, len(kept), TEXTS_AT_ONCE)]
        found = self._run(
            lambda rows: self._model.encode("text", [inputs[row] for row in rows.tolist()]), batches, len(items)
        )
        return Embedded(found.vectors, found.failures | failures)

    def _write_prompt(self, item: Item) -> str:
        spoken = item.spoken_language if item.sign_language else None
        return build_prompt(self.config, item.text, sign_language=item.sign_language, spoken_language=spoken).text

    def _tokenize(
        self, items: Sequence[Item], prompts: Mapping[int, str], failures: dict[int, Failure]
    ) -> dict[int, Array]:
        """Turn prompts into token ids, by row; texts that are too long for the model become failures."""
        tokenizer, most = self._model.tokenizer, self.config.max_pieces
        rows = []
        for row in prompts:
            count = len(items[row].text)
            if count > _MAX_TEXT_CHARS:
                failures[row] = Failure("text_too_long", f"{count} characters; a text may have {_MAX_TEXT_CHARS}")
            else:
                rows.append(row)
        inputs: dict[int, Array] = {}
        for row, pieces in zip(rows, tokenizer.split([prompts[row] for row in rows]), strict=True):
            if len(pieces) > most and not self._options.truncate:
                excess = f"{len(pieces)} word pieces; model {self.config.name!r} takes {most}"
                failures[row] = Failure("tokens_over_limit", f"{excess}. --truncate keeps the first")
            else:
                inputs[row] = tokenizer.build_input_ids(pieces, max_pieces=most)
        return inputs

    def _run(
        self, embed: Callable[[npt.NDArray[np.int64]], Vectors], batches: Sequence[npt.NDArray[np.int64]], count: int
    ) -> Embedded:
        vectors = np.zeros((count, self.config.embed_dim), dtype=np.float32)
        failures: dict[int, Failure] = {}
        for rows in batches:
            self._run_batch(embed, rows, vectors, failures)
        usable = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
        for row in np.flatnonzero(~usable).tolist():
            failures.setdefault(row, Failure("vector_invalid", "the model gave no finite vector with a direction"))
        vectors[~usable] = 0
        return Embedded(normalize_vectors(vectors), {row: failures[row] for row in failures if row < count})

    def _run_batch(
        self,
        embed: Callable[[npt.NDArray[np.int64]], Vectors],
        rows: npt.NDArray[np.int64],
        vectors: Vectors,
        failures: dict[int, Failure],
    ) -> None:
        """Run one batch; where it fails run its halves, until the items that make it fail are alone."""
        try:
            vectors[rows] = embed(rows)
        except Exception as error:  # the other items of the batch must not suffer from one
            if len(rows) == 1:
                log.exception("the model failed on an item")
                failures[int(rows[0])] = Failure("item_failed", f"the model failed on it ({type(error).__name__})")
                return
            half = len(rows) // 2
            self._run_batch(embed, rows[:half], vectors, failures)
            self._run_batch(embed, rows[half:], vectors, failures)
