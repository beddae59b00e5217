"""A model beside its clips: from files to vectors, without a service."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from corpora.arrays import Float32Array
from corpora.clip_files import read_pose
from corpora.errors import CorpusError
from corpora.examples import Example
from models.backends.choice import choose_device, choose_dtype, make_backend
from models.background import Background, locate_background, read_background
from models.catalog import Catalog
from models.embedding import EmbeddingModel
from models.prompts import build_prompt
from models.registry import Registry, find_model
from models.signature import compute_signature, compute_space
from models.vectors import Vectors
from poses.errors import NoHandsError, PoseError, PoseTooLongError
from poses.feature_kinds import find_kind
from poses.features import FeatureOptions, extract
from poses.quality import shows_hands
from poses.trim import cut_to_signing


@dataclass(frozen=True)
class EmbeddedClips:
    """The vectors of some clips.

    Attributes:
        vectors: float32 (kept, embed_dim), raw.
        kept: the clips that have one, in their order.
        failures: why the others have none, by id.
    """

    vectors: Vectors
    kept: list[Example]
    failures: dict[str, str]


class Embedder:
    """One model, loaded in this process.

    Args:
        name: of the catalog, or a folder that holds config.yaml; None: the model that ships.
        device: as for the service.
    Raises:
        ModelsError: the model is unknown, its files are missing or damaged, or there is no such device.
    """

    def __init__(self, name: str | None = None, *, device: str = "auto") -> None:
        config, self.weights = find_model(name or "fingerspelling")
        chosen = choose_device(device)
        factory = partial(make_backend, backend="auto", device=chosen, dtype=choose_dtype("auto", chosen), threads=None)
        self.model: EmbeddingModel = Registry(Catalog({config.name: config}), self.weights, make_backend=factory).get(
            config.name
        )
        self.config = config
        version = find_kind(config.features).version
        self.space = compute_space(config, digest=self.model.digest, features_version=version)
        self.signature = compute_signature(
            config, digest=self.model.digest, dtype=self.model.dtype, features_version=version, options={}
        )

    def embed_clips(self, clips: Sequence[Example]) -> EmbeddedClips:
        """Embed clips as the service embeds posted ones, with its default options; a clip without a hand fails.

        Args:
            clips: poses; spans of recordings are cut out.
        """
        features, kept, failures = [], [], {}
        for clip in clips:
            try:
                features.append(self._read_features(clip))
                kept.append(clip)
            except (CorpusError, PoseError) as error:
                failures[clip.id] = str(error)
        return EmbeddedClips(self.model.embed_pose(features, normalize=False), kept, failures)

    def _read_features(self, clip: Example) -> Float32Array:
        pose = read_pose(clip)
        if not shows_hands(pose):
            raise NoHandsError(f"no hand in any of {len(pose.body.confidence)} frames")
        if self.config.trim == "auto":
            pose, _ = cut_to_signing(pose)
        frames = len(pose.body.confidence)
        if frames > self.config.max_frames:
            raise PoseTooLongError(f"{frames} frames; model {self.config.name!r} takes {self.config.max_frames}")
        return extract(pose, self.config.features, FeatureOptions())

    def embed_texts(self, texts: Sequence[str], *, sign_language: str | None) -> Vectors:
        """Embed texts as prompts of a sign language, or as they are: float32 (texts, embed_dim), raw.

        Raises:
            UnknownLanguageError: there is no such sign language.
        """
        prompts = [build_prompt(self.config, text, sign_language=sign_language).text for text in texts]
        return self.model.embed_text(prompts, normalize=False)

    def read_background(self) -> Background | None:
        """Read the background of clips that fit nothing; None if there is none of these weights.

        Raises:
            BackgroundError: the file is damaged.
        """
        path = locate_background(self.weights, self.config)
        if not path.is_file():
            return None
        background = read_background(path, embed_dim=self.config.embed_dim)
        return background if background.digest == self.model.digest else None
