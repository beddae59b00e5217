"""The `model` section of an experiment file: a whole configuration, or changes to that of a served model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.registry import find_model
from training.errors import ExperimentError

# Fields that identify a model and do not change what it computes.
_IDENTITY = {"name", "aliases", "description", "licence", "source", "weights", "download"}
# Layers and width of both towers by name; a head has 64 numbers, and the inner layer is four times as wide. These are
# the sizes of the small BERTs of Turc et al., 2019, arXiv 1908.08962, which therefore fit as start.text and start.pose.
SIZES = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "medium": (8, 512), "base": (12, 768)}
_HEAD_WIDTH = 64
# Fields that say what is in a model's weights, so they are taken over together with these only.
_OF_WEIGHTS = {"sign_languages", "spoken_languages", "exemplars"}


def complete_model(section: Mapping[str, Any], *, start: str | None, name: str, experiment: str) -> dict[str, Any]:
    """Fill in the fields that a `model` section takes from another model.

    Args:
        section: fields of models.catalog.ModelConfig; with `base`, changes to the fields of that model; with `size`, a
            key of SIZES, the towers of that size.
        start: the model whose weights training starts from; it is the base if the section names none.
        name: of the new model, which is the name of its folder.
        experiment: the run's name, for the description if the section has none.
    Returns:
        Fields of models.catalog.ModelConfig.
    Raises:
        UnknownModelError, CatalogError: there is no such base, or its configuration is wrong.
        ExperimentError: there is no such size, or the weights to start from have a size already.
    """
    changes = dict(section)
    sized = _expand_size(changes.pop("size", None), start=start)
    base: str | None = changes.pop("base", None) or start
    fields: dict[str, Any] = {}
    if base:
        left_out = _IDENTITY if start else _IDENTITY | _OF_WEIGHTS
        fields = find_model(base)[0].model_dump(mode="json", exclude=left_out)
    about = {"description": f"Trained as {experiment}.", "licence": "not stated", "source": f"training, {experiment}"}
    return merge_settings(merge_settings(about | fields, sized), changes) | {"name": name}


def _expand_size(size: Any, *, start: str | None) -> dict[str, Any]:
    if size is None:
        return {}
    if not isinstance(size, str) or size not in SIZES:
        raise ExperimentError(f"model.size is {size!r}; use one of {', '.join(SIZES)}, or set the towers one by one")
    if start is not None:
        raise ExperimentError(
            f"model.size is {size}, but start.model {start} has towers of its own: leave model.size out, or set "
            "start.model=null to train from scratch"
        )
    layers, width = SIZES[size]
    tower = {"layers": layers, "width": width, "heads": width // _HEAD_WIDTH, "inner": 4 * width}
    return {"embed_dim": width, "pose_tower": tower, "text_tower": tower}


def merge_settings(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Put one mapping of settings over another. Inner mappings are merged; lists and values are replaced."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            value = merge_settings(inner, value)
        merged[key] = value
    return merged
