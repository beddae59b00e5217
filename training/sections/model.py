"""The `model` section of an experiment: a whole configuration, or changes to a served model's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.registry import find_model

_ABOUT = {"name", "aliases", "description", "licence", "source", "weights", "download"}
"""What tells a model apart, and says nothing about how it computes."""
_LANGUAGES = {"sign_languages", "spoken_languages"}


def complete_model(section: Mapping[str, Any], *, start: str | None, name: str, experiment: str) -> dict[str, Any]:
    """Fill in what a `model` section takes from another model.

    Args:
        section: fields of models.catalog.ModelConfig; with `base`, changes to that model's.
        start: the model whose weights training starts from, which is the base where none is given.
        name: of the new model, its folder's.
        experiment: what its description says where the section says nothing.
    Returns:
        fields of models.catalog.ModelConfig.
    Raises:
        UnknownModelError, CatalogError: there is no such base.
    """
    changes = dict(section)
    base = changes.pop("base", None)
    fields: dict[str, Any] = {}
    if base or start:
        # Languages are those that training saw, so only what goes on from a model's weights has them from it.
        left_out = _ABOUT if start else _ABOUT | _LANGUAGES
        fields = find_model(base or start)[0].model_dump(mode="json", exclude=left_out)
    about = {"description": f"Trained as {experiment}.", "licence": "not stated", "source": f"training, {experiment}"}
    return merged(about | fields, changes) | {"name": name}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, mappings inside them too; lists and values are replaced."""
    result = dict(below)
    for key, value in above.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return result
