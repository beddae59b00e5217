"""What can be asked for: models and sign languages."""

from typing import Any

from flask import Blueprint, Response

from app.answers.schemas import LanguagesAnswer, ModelsAnswer
from app.answers.vectors import json_answer
from app.reference.operations import Operation, operation
from app.services import services
from models.catalog import ModelConfig
from models.languages import language_table
from models.status import ModelStatus

blueprint = Blueprint("models", __name__, url_prefix="/api")


@blueprint.get("/models")
@operation(Operation(summary="List the models", answer=ModelsAnswer, statuses=(401, 503)))
def models() -> Response:
    engine = services().engine
    statuses = engine.statuses()
    described = [_describe(config, statuses[name]) for name, config in services().catalog.items()]
    return json_answer({"default": engine.default_model(), "models": described})


@blueprint.get("/languages")
@operation(
    Operation(
        summary="List the sign languages",
        answer=LanguagesAnswer,
        statuses=(401,),
        description="Tags of the multilingual model's pretraining, with the clips it saw of each.",
    )
)
def languages() -> Response:
    listed = [
        {"tag": tag, "name": language.name, "aliases": language.aliases, "clips": language.pretraining_clips}
        for tag, language in language_table().items()
    ]
    return json_answer({"languages": listed})


def _describe(config: ModelConfig, status: ModelStatus) -> dict[str, Any]:
    return {
        "name": config.name,
        "aliases": config.aliases,
        "description": config.description,
        "licence": config.licence,
        "source": config.source,
        "state": status.state,
        "reason": status.reason,
        "dimensions": config.embed_dim,
        "max_frames": config.max_frames,
        "max_tokens": config.max_tokens,
        "features": config.features,
        "tokenizer": config.tokenizer,
        "device": status.device,
        "dtype": status.dtype,
        "signature": services().signature(config, {}, digest=status.digest, dtype=status.dtype),
    }
