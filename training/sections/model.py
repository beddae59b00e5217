"""The `model` section of an experiment file: a whole configuration, or changes to that of a served model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.registry import find_model

# Fields that identify a model and do not change what it computes.
_IDENTITY = {"name", "aliases", "description", "licence", "source", "weights", "download"}
_LANGUAGES = {"sign_languages", "spoken_languages"}


def complete_model(section: Mapping[str, Any], *, start: str | None, name: str, experiment: str) -> dict[str, Any]:
    """Fill in the fields that a `model` section takes from another model.

    Args:
        section: fields of models.catalog.ModelConfig; with `base`, changes to the fields of that model.
        start: the model whose weights training starts from; it is the base if the section names none.
        name: of the new model, which is the name of its folder.
        experiment: the run's name, for the description if the section has none.
    Returns:
        Fields of models.catalog.ModelConfig.
    Raises:
        UnknownModelError, CatalogError: there is no such base, or its configuration is wrong.
    """
    changes = dict(section)
    base: str | None = changes.pop("base", None) or start
    fields: dict[str, Any] = {}
    if base:
        # Languages are those of a model's training, so they are taken over together with its weights only.
        left_out = _IDENTITY if start else _IDENTITY | _LANGUAGES
        fields = find_model(base)[0].model_dump(mode="json", exclude=left_out)
    about = {"description": f"Trained as {experiment}.", "licence": "not stated", "source": f"training, {experiment}"}
    return merge_settings(about | fields, changes) | {"name": name}


def merge_settings(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Put one mapping of settings over another. Inner mappings are merged; lists and values are replaced."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            value = merge_settings(inner, value)
        merged[key] = value
    return merged
