"""The models that this service knows: a YAML file for each in configs/models, and users' own folders in weights/."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.errors import CatalogError, UnknownModelError
from processes.os_errors import describe_reason
from processes.yaml_text import YamlError, parse_yaml

# The two encoders of a model, named after what they take.
Tower = Literal["text", "pose"]
CONFIGS = Path(__file__).resolve().parent.parent / "configs" / "models"
# Configuration of a user's own model, in the folder of its weights.
CONFIG = "config.yaml"
# Far beyond any description of a model; a file without an end would fill the memory.
_CONFIG_LIMIT_BYTES = 1024 * 1024
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
# SignCLIP's prompt, in all experiments of the paper but the preliminary ones (FingerCLIP and ISLR).
TAGGED_PROMPT = "<{spoken}> <{sign}> {text}"
# A vector depends on these fields and on the weights; the others describe the model or how it was trained.
_VECTOR_FIELDS = {
    *("features", "feature_dim", "embed_dim", "max_frames", "max_tokens", "pose_tower", "text_tower", "pose_frontend"),
    *("convolutions", "projection", "logit_scale", "tokenizer", "lowercase", "trim"),
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TowerConfig(_Strict):
    """Size of one BERT tower; the defaults are bert-base's (Devlin et al., 2019)."""

    layers: int = Field(12, ge=1, le=48)
    width: int = Field(768, ge=8, le=4096)
    heads: int = Field(12, ge=1, le=64)
    inner: int = Field(3072, ge=8, le=16384)
    positions: int = Field(512, ge=4, le=8192, description="rows of the stored position table")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "TowerConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class TextTowerConfig(TowerConfig):
    """Size of the text tower, which also has a vocabulary."""

    vocab_size: int | None = Field(None, ge=4, description="None: as many rows as the checkpoint has")


class DownloadSource(_Strict):
    """Where the authors published a checkpoint: a Google Drive file, or a path inside a Drive folder."""

    drive_file: str | None = None
    drive_folder: str | None = None
    experiment: str = Field(description="the authors' name of the run; its folder inside drive_folder")


class ModelConfig(_Strict):
    """One served model. Field words follow the paper; sizes are in frames, tokens and vector components."""

    name: str = Field(pattern=_NAME)
    aliases: tuple[str, ...] = ()
    description: str
    licence: str
    source: str
    features: str = Field("signclip", description="a key of poses.FEATURE_KINDS")
    feature_dim: int = Field(609, ge=1, le=100_000)
    embed_dim: int = Field(768, ge=2, le=4096)
    trim: Literal["none", "auto"] = Field(
        "none", description="auto: clips are cut to the signing, in training and where a request does not choose"
    )
    max_frames: int = Field(256, ge=1, le=8190)
    max_tokens: int = Field(64, ge=4, le=512, description="stored text length; pieces are cut to max_tokens - 3")
    pose_tower: TowerConfig = TowerConfig()
    text_tower: TextTowerConfig = TextTowerConfig()
    pose_frontend: Literal["mlp", "hand_geometry"] = "mlp"
    exemplars: int = Field(0, ge=0, le=100_000, description="known clips that vote; see models.exemplars")
    convolutions: int = Field(0, ge=0, le=8)
    projection: Literal["none", "linear", "linear_l2", "l2"] = "none"
    logit_scale: float = Field(1.0, gt=0, description="dot products of raw vectors are multiplied by it")
    dropout: float = Field(0.1, ge=0, lt=1, description="in training only")
    frame_dropout: float = Field(
        0.0, ge=0, lt=1, description="in the frame MLP, in training only; the authors' wherever they set dropout"
    )
    text_dropout: float | None = Field(
        None, ge=0, lt=1, description="None: as dropout; the authors always use BERT's 0.1"
    )
    tokenizer: str = Field("bert-base-cased", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$")
    lowercase: bool | None = Field(None, description="None: as the tokenizer's own files say")
    prompt: str = Field(TAGGED_PROMPT, description="how sign_language and spoken_language become text")
    sign_languages: tuple[str, ...] | None = Field(None, description="tags seen in training; None: not recorded")
    spoken_languages: tuple[str, ...] | None = None
    weights: str | None = Field(
        None, pattern=_NAME, description="name of the folder that holds its weights; None: its own name"
    )
    download: DownloadSource | None = None

    @field_validator("prompt")
    @classmethod
    def _prompt_has_text(cls, value: str) -> str:
        if "{text}" not in value:
            raise ValueError("prompt must contain {text}")
        try:
            value.format(spoken="", sign="", language="", text="")
        except (LookupError, ValueError, AttributeError) as error:
            raise ValueError(
                f"prompt may name {{spoken}}, {{sign}}, {{language}} and {{text}} only: {error}"
            ) from error
        return value

    @model_validator(mode="after")
    def _widths_agree(self) -> "ModelConfig":
        widths = {"pose_tower": self.pose_tower.width, "text_tower": self.text_tower.width}
        for tower, width in widths.items():
            if width != self.embed_dim:
                raise ValueError(
                    f"{tower}.width is {width}, embed_dim is {self.embed_dim}; SignCLIP pools, so they agree"
                )
        if self.exemplars and (self.pose_frontend, self.projection) != ("hand_geometry", "l2"):
            raise ValueError("exemplars need pose_frontend: hand_geometry and projection: l2")
        if self.max_tokens > self.text_tower.positions + 1:
            raise ValueError(f"max_tokens {self.max_tokens} needs more than {self.text_tower.positions} positions")
        return self

    @property
    def vector_fields(self) -> dict[str, Any]:
        """The fields that change a vector, by name. Two models may share their weights and differ in these."""
        fields = self.model_dump(mode="json", include=_VECTOR_FIELDS)
        if self.trim == "none":  # because vectors from before there was a choice are the same vectors
            del fields["trim"]
        return fields

    @property
    def folder(self) -> str:
        """Name of the folder that holds its weights."""
        return self.weights or self.name

    @property
    def max_pieces(self) -> int:
        """Word pieces that fit into max_tokens beside the authors' [CLS] and their two [SEP]."""
        return self.max_tokens - 3

    @property
    def interpolates_positions(self) -> bool:
        """Whether the pose tower's position table is stretched to max_frames + 2 rows (in the authors' "inference")."""
        return self.pose_frontend == "mlp" and self.max_frames + 2 > self.pose_tower.positions


class Catalog(Mapping[str, ModelConfig]):
    """Models by name; `resolve` also takes aliases. Iteration follows the order of the files' names.

    Args:
        broken: why a user's folder describes no model, by its name. Such a folder keeps no other model from serving.
    Raises:
        CatalogError: two models share a name or an alias.
    """

    def __init__(self, models: Mapping[str, ModelConfig], broken: Mapping[str, CatalogError] | None = None) -> None:
        self._models = dict(models)
        self._names: dict[str, str] = {}
        self.broken = dict(broken or {})
        for config in self._models.values():
            for name in (config.name, *config.aliases):
                if self._names.setdefault(name, config.name) != config.name:
                    raise CatalogError(f"{name!r} names both {self._names[name]!r} and {config.name!r}")

    def __getitem__(self, name: str) -> ModelConfig:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def resolve(self, name: str) -> ModelConfig:
        """Find a model by name or alias.

        Raises:
            UnknownModelError: no model has this name or alias; the message lists the models.
            CatalogError: the folder of this name holds a configuration that describes no model.
        """
        try:
            return self._models[self._names[name]]
        except KeyError:
            if name in self.broken:
                raise self.broken[name] from None
            raise UnknownModelError(name, self._models) from None

    def to_json(self) -> str:
        """Write the catalog for another process; `from_json` reads it."""
        models = [config.model_dump(mode="json") for config in self.values()]
        return json.dumps({"models": models, "broken": {name: str(error) for name, error in self.broken.items()}})

    @classmethod
    def from_json(cls, text: str) -> "Catalog":
        """Read what `to_json` wrote."""
        content = json.loads(text)
        models = [ModelConfig.model_validate(fields) for fields in content["models"]]
        broken = {name: CatalogError(reason) for name, reason in content["broken"].items()}
        return cls({config.name: config for config in models}, broken)


def load_catalog(configs: Path = CONFIGS, weights: Path | None = None) -> Catalog:
    """Read every model's configuration.

    Args:
        configs: folder of YAML files, one for each model. A file may start from another one with `base: NAME`.
        weights: folder whose subfolders may hold a CONFIG. Such a model has the name of its folder. A folder whose
            CONFIG describes no model is left out of the models, and `Catalog.broken` says why.
    Raises:
        CatalogError: a file of `configs` is not YAML, lacks a field or has an unknown one, or two of them share a name.
    """
    raw = {path.stem: _read_yaml(path) for path in sorted(configs.glob("*.yaml"))}
    origins = {name: configs / f"{name}.yaml" for name in raw}
    models = {name: _build(name, raw, origins) for name in raw}
    Catalog(models)
    broken: dict[str, CatalogError] = {}
    own = [] if weights is None or not weights.is_dir() else sorted(weights.glob(f"*/{CONFIG}"))
    for path in own:
        name = path.parent.name
        written = os.fsencode(name).decode("utf-8", "backslashreplace")
        if written != name:  # JSON could not hold it, and one folder would keep all models out of an answer
            broken[written] = CatalogError(f"the name of the folder {written} is not UTF-8; rename it")
            continue
        if name in models:
            broken[name] = CatalogError(
                f"{path} would replace the model {name!r} of {origins[name]}; rename its folder"
            )
            continue
        try:
            raw[name], origins[name] = _read_yaml(path), path
        except CatalogError as error:
            broken[name] = error
    for name in [name for name in raw if name not in models]:
        try:
            models[name] = _build(name, raw, origins)
            Catalog(models)
        except CatalogError as error:
            models.pop(name, None)
            broken[name] = error
    return Catalog(models, broken)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise CatalogError(f"{path} is no regular file")
        if path.stat().st_size > _CONFIG_LIMIT_BYTES:
            raise CatalogError(f"{path} has more than {_CONFIG_LIMIT_BYTES} bytes, the most of a configuration")
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YamlError) as error:
        raise CatalogError(f"{path} cannot be read: {describe_reason(error)}") from error
    if not isinstance(content, dict):
        raise CatalogError(f"{path} is not a mapping of fields")
    return content


def _build(name: str, raw: Mapping[str, dict[str, Any]], origins: Mapping[str, Path]) -> ModelConfig:
    fields = dict(raw[name])
    base = fields.pop("base", None)
    if base is not None:
        if not isinstance(base, str) or base not in raw or "base" in raw[base]:
            raise CatalogError(f"{origins[name]}: base {base!r} is not a model, or starts from another base itself")
        # A user's own model has other weights than its base, so the download source of the base is not its source.
        left = {"aliases", "name"} | ({"download"} if "weights" not in fields else set())
        inherited = {key: value for key, value in raw[base].items() if key not in left}
        fields = {**inherited, **fields}
    if fields.setdefault("name", name) != name:
        raise CatalogError(
            f"{origins[name]}: name {fields['name']!r} differs from the name of its file or folder, {name!r}"
        )
    try:
        return ModelConfig.model_validate(fields)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise CatalogError(f"{origins[name]}: {problems}") from error
