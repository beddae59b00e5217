"""Turns what a request holds about entries and queries into vectors of a collection's space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zstandard

from app.errors import Base64Error, InputError, ItemError
from app.inference import embed
from app.intake.base64_text import decode_base64
from app.intake.entries import NewEntry
from app.intake.entry_schemas import EntryFacts, EntryOptions
from app.intake.items import ItemRules, PoseFiles, PreparedItems, locate_error, prepare_clips, prepare_texts
from app.intake.schemas import PromptOptions
from app.intake.validation import check_count, validate
from app.intake.videos import Estimation, Outcome, collect_warnings, decode_videos, finish_estimation, read_outcome
from app.services import Services
from models.catalog import ModelConfig
from models.errors import UnknownModelError
from processes.compression import find_packing, unpack
from search.entries import MAX_POSE_BYTES, Collection, Entry, Kind, Vector, has_direction
from search.errors import EntryInvalidError, SpaceMismatchError
from video.estimates import Estimate

# The level of the zstd program; higher ones save a hundredth of a pose for ten times the time.
_ZSTD_LEVEL = 3


@dataclass
class Indexed:
    """What became of a batch of entries.

    Attributes:
        entries: those that have vectors now, by their place in the batch, in its order.
        failures: why others have none, by their place in the batch.
        warnings: sentences for the answer.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    failures: dict[int, Exception] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Made:
    """A vector, and how it was made."""

    vector: Vector
    kind: Kind
    space: str
    signature: str | None
    quality: Mapping[str, Any] | None = None
    pose: bytes | None = None


def find_collection_model(shared: Services, collection: Collection, name: str | None = None) -> ModelConfig:
    """Find the model that makes vectors of a collection's space.

    Args:
        name: the model that the request names; None: it names none.
    Raises:
        SpaceMismatchError: no model of this service does, or the request names another one.
    """
    try:
        config = shared.find_model(collection.space.rpartition(":")[0] or collection.space)
    except UnknownModelError as error:
        raise SpaceMismatchError(
            f"collection {collection.name!r} holds vectors of space {collection.space!r}, which no model here makes; "
            "send vectors"
        ) from error
    if name is not None and shared.find_model(name) is not config:
        raise SpaceMismatchError(
            f"model {name!r} makes no vectors of space {collection.space!r}, which collection {collection.name!r} "
            "holds; leave model_name out"
        )
    return config


def check_space(collection: Collection, space: str) -> None:
    """Refuse vectors that may not be compared with those of a collection.

    Raises:
        SpaceMismatchError: their space is another one.
    """
    if space != collection.space:
        raise SpaceMismatchError(
            f"the vectors have space {space!r}, those of collection {collection.name!r} {collection.space!r}; vectors "
            "of different spaces cannot be compared"
        )


class Indexing:
    """The entries of one batch on their way to vectors.

    Args:
        config: the model that embeds texts and clips; None: the batch holds vectors alone.
        space: of vectors that name none.
        deadline: in seconds of time.monotonic().

    Attributes:
        needs_hands: refuse a clip with no hand in any frame.
    """

    needs_hands = False

    def __init__(
        self,
        shared: Services,
        config: ModelConfig | None,
        batch: Sequence[NewEntry],
        *,
        space: str,
        options: EntryOptions,
        deadline: float,
    ) -> None:
        self._shared = shared
        self._config = config
        self._batch = batch
        self._space = space
        self._options = options
        self._deadline = deadline
        self._made: dict[int, _Made] = {}
        self._found = Indexed()

    def run(self) -> Indexed:
        """Embed the texts and clips of the batch, and read its vectors.

        Raises:
            RequestError, ModelsError, ProcessError, EstimatorError: an entry is refused and the options skip none, or
                it cannot be embedded.
        """
        self._read_vectors()
        self._embed_texts()
        self._embed_clips()
        for row in sorted(self._made):
            self._found.entries[row] = _build_entry(self._batch[row], self._made[row])
        return self._found

    def _list_rows(self, *kinds: str) -> list[int]:
        return [row for row, entry in enumerate(self._batch) if entry.kind in kinds]

    def _make_rules(self, rows: Sequence[int]) -> ItemRules:
        pointers = [self._batch[row].pointer for row in rows]
        return ItemRules(pointers, self._options.truncate, self._options.on_error == "skip", self.needs_hands)

    def _read_vectors(self) -> None:
        for row in self._list_rows("vector"):
            entry = self._batch[row]
            try:
                vector = _read_vector(entry.content)
            except (Base64Error, EntryInvalidError) as error:
                self._fail(row, error)
                continue
            line = entry.line
            kind: Kind = (line.kind if line is not None else None) or "pose"
            space = (line.space if line is not None else None) or self._space
            self._made[row] = _Made(vector, kind, space, line.signature if line is not None else None)

    def _embed_texts(self) -> None:
        rows = self._list_rows("text")
        # A prompt names languages, and one call writes the prompts of one pair of languages.
        pairs = {row: _choose_languages(self._batch[row].facts) for row in rows}
        for pair in dict.fromkeys(pairs.values()):
            same = [row for row in rows if pairs[row] == pair]
            sign, spoken = pair
            config = self._get_config()
            try:
                prepared = prepare_texts(
                    config,
                    self._shared.find_tokenizer(config),
                    [self._batch[row].content for row in same],
                    prompts=validate(PromptOptions, {"sign_language": sign, "spoken_language": spoken}, max_items=0),
                    rules=self._make_rules(same),
                    max_chars=self._shared.settings.max_text_chars,
                )
            except InputError as error:  # a language is unknown, or its tag can be none
                for row in same:
                    self._fail(row, ItemError(str(error), code=error.code))
                continue
            self._embed(same, prepared, {})

    def _embed_clips(self) -> None:
        pose_rows, video_rows = self._list_rows("pose"), self._list_rows("video")
        rows = [*pose_rows, *video_rows]
        if not rows:
            return
        config, settings = self._get_config(), self._shared.settings
        files = PoseFiles(
            [self._batch[row].content for row in pose_rows], config=config, max_bytes=settings.max_body_bytes
        )
        outcomes = self._estimate(video_rows)

        def read_item(index: int) -> Any:
            if index < len(pose_rows):
                return files.read(index)
            return read_outcome(outcomes[index - len(pose_rows)], min_seen=self._options.min_seen)

        prepared = prepare_clips(
            config, read_item, clips=self._options, rules=self._make_rules(rows), with_quality=True
        )
        prepared.warnings += collect_warnings(outcomes, [self._batch[row].pointer for row in video_rows])
        poses: dict[int, bytes] = {}
        if self._options.keep_pose:
            for index, row in enumerate(rows):
                if index not in prepared.failures:
                    outcome = outcomes.get(index - len(pose_rows)) if index >= len(pose_rows) else None
                    self._keep_pose(poses, row, outcome)
        self._embed(rows, prepared, poses)

    def _estimate(self, rows: Sequence[int]) -> dict[int, Outcome]:
        if not rows:
            return {}
        settings, rules = self._shared.settings, self._make_rules(rows)
        check_count(len(rows), max_items=settings.max_videos)
        videos = decode_videos([self._batch[row].content for row in rows], rules.pointers, settings=settings)
        return finish_estimation(
            Estimation(self._shared.estimators, videos, rules=rules, deadline=self._deadline, model=self._config)
        )

    def _keep_pose(self, poses: dict[int, bytes], row: int, outcome: Outcome | None) -> None:
        content = outcome.pose if isinstance(outcome, Estimate) else self._batch[row].content
        data = decode_base64(content) if isinstance(content, str) else content
        packing = find_packing(data)
        if packing == "gzip":  # every pose that is kept is packed alike, because exports promise that
            data = unpack(data, packing, max_bytes=self._shared.settings.max_body_bytes)
        packed = data if packing == "zstd" else zstandard.compress(data, _ZSTD_LEVEL)
        if len(packed) <= MAX_POSE_BYTES:
            poses[row] = packed
        else:
            size = f"it has {len(packed)} bytes packed; at most {MAX_POSE_BYTES} are kept"
            self._found.warnings.append(f"{self._batch[row].pointer}: the pose is not kept, because {size}")

    def _embed(self, rows: Sequence[int], prepared: PreparedItems, poses: Mapping[int, bytes]) -> None:
        shared, skip = self._shared, self._options.on_error == "skip"
        vectors = embed(shared.engine, prepared, settings=shared.settings.engine, deadline=self._deadline, skip=skip)
        self._found.warnings += prepared.warnings
        for index, error in vectors.failures.items():
            self._found.failures[rows[index]] = error
        config = prepared.config
        origin = shared.describe_origin(config, prepared.options, digest=vectors.digest, dtype=vectors.dtype)
        space, kind = origin["space"], prepared.tower
        for index, row in enumerate(rows):
            if index not in vectors.failures and space is not None:
                quality = prepared.quality[index] if prepared.quality is not None else None
                vector = vectors.values[index]
                self._made[row] = _Made(vector, kind, space, origin["signature"], quality, poses.get(row))

    def _get_config(self) -> ModelConfig:
        if self._config is None:
            raise SpaceMismatchError("texts and clips need a model; send vectors")
        return self._config

    def _fail(self, row: int, error: Exception) -> None:
        if self._options.on_error != "skip":
            raise locate_error(error, self._batch[row].pointer) from error
        self._found.failures[row] = error


def _choose_languages(facts: EntryFacts) -> tuple[str | None, str | None]:
    """Choose the languages of a text's prompt; a prompt that names no sign language names no other."""
    sign = facts.sign_language or None
    return sign, (facts.spoken_language or None) if sign else None


def _read_vector(content: Any) -> Vector:
    if isinstance(content, list):
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
            return _check_direction(np.array(content, dtype=np.float32))
    data = decode_base64(content)
    if not data or len(data) % 4:
        raise EntryInvalidError(f"a vector of {len(data)} bytes; float32 takes 4 bytes a number")
    return _check_direction(np.frombuffer(data, "<f4").astype(np.float32))


def _check_direction(vector: Vector) -> Vector:
    if not has_direction(vector):
        raise EntryInvalidError("the vector is 0, or holds numbers that are not finite or too large")
    return vector


def _build_entry(new: NewEntry, made: _Made) -> Entry:
    facts = new.facts
    return Entry(
        new.id,
        made.vector,
        made.kind,
        made.space,
        signature=made.signature,
        gloss=facts.gloss,
        texts=tuple(facts.texts) or ((new.content,) if new.kind == "text" else ()),
        sign_language=facts.sign_language,
        spoken_language=facts.spoken_language,
        source=facts.source,
        tags=facts.tags,
        pose=made.pose,
        quality=made.quality,
    )
