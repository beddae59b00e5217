"""What a client can choose from: models and sign languages."""

from typing import Any

from flask import Blueprint, Response

from app.answers.folders import hide_folders
from app.answers.schemas import LanguagesAnswer, ModelsAnswer
from app.answers.vectors import answer_json
from app.reference.operations import Operation, describe
from app.services import get_services
from models.catalog import ModelConfig
from models.errors import BackgroundError
from models.languages import read_languages
from models.status import ModelStatus

blueprint = Blueprint("models", __name__, url_prefix="/api")


@blueprint.get("/models")
@describe(Operation(summary="List the models", answer=ModelsAnswer, statuses=(401, 503)))
def list_models() -> Response:
    """List every model of the catalog with its state.

    Raises:
        ProcessError, ModelsError: the engine is away, or cannot be built on this machine.
    """
    shared = get_services()
    statuses = shared.engine.list_statuses()
    models = []
    for name, config in shared.catalog.items():
        status = statuses[name]
        origin = shared.describe_origin(config, {}, digest=status.digest, dtype=status.dtype)
        models.append(_describe_model(config, status) | origin)
    broken = [
        {"name": name, "reason": hide_folders(str(error), shared.weights.path)}
        for name, error in shared.catalog.broken.items()
    ]
    return answer_json({"default": shared.engine.get_default_model(), "models": models, "broken": broken})


@blueprint.get("/languages")
@describe(
    Operation(
        summary="List the sign languages",
        answer=LanguagesAnswer,
        statuses=(401,),
        description="Tags of the multilingual model's pretraining, and how many clips of each language it saw.",
    )
)
def list_languages() -> Response:
    """List the sign languages of the pretraining data."""
    languages = [
        {"tag": tag, "name": language.name, "aliases": language.aliases, "clips": language.pretraining_clips}
        for tag, language in read_languages().items()
    ]
    return answer_json({"languages": languages})


def _has_background(config: ModelConfig, status: ModelStatus) -> bool:
    try:
        return get_services().find_background(config, digest=status.digest) is not None
    except BackgroundError:
        return False


def _describe_model(config: ModelConfig, status: ModelStatus) -> dict[str, Any]:
    return {
        "name": config.name,
        "aliases": config.aliases,
        "description": config.description,
        "licence": config.licence,
        "source": config.source,
        "state": status.state,
        "reason": None if status.reason is None else hide_folders(status.reason, get_services().weights.path),
        "dimensions": config.embed_dim,
        "max_frames": config.max_frames,
        "max_tokens": config.max_tokens,
        "features": config.features,
        "trim": config.trim,
        "tokenizer": config.tokenizer,
        "sign_languages": config.sign_languages,
        "spoken_languages": config.spoken_languages,
        "background": _has_background(config, status),
        "device": status.device,
        "dtype": status.dtype,
    }
