"""Models and text embeddings in the shape of OpenAI's API, so that its clients work with this service."""

from typing import Any

from flask import Blueprint, Response, request

from app.access.admission import admit
from app.answers.schemas import OpenAIAnswer, OpenAIModel, OpenAIModelsAnswer
from app.answers.vectors import answer_json, encode_rows
from app.errors import InputError, Problem
from app.inference import embed, set_deadline
from app.intake.body import read_json
from app.intake.items import ItemRules, prepare_texts
from app.intake.openai_tokens import decode_tokens
from app.intake.schemas import OpenAIRequest, locate_items
from app.intake.validation import validate
from app.reference.operations import Operation, describe
from app.services import Services, get_services
from app.telemetry import get_record
from models.catalog import ModelConfig
from models.vectors import normalize_vectors

blueprint = Blueprint("openai", __name__, url_prefix="/v1")


@blueprint.post("/embeddings")
@describe(
    Operation(
        summary="Embed texts, in OpenAI's shape",
        request=OpenAIRequest,
        answer=OpenAIAnswer,
        statuses=(400, 401, 404, 413, 415, 422, 429, 499, 503, 504),
        description="Vectors have unit length. Texts are embedded as given, such as <en> <ase> house; with the extra "
        "key sign_language, they are written as prompts. OpenAI's clients send extra keys as extra_body. Token arrays "
        "are decoded where OpenAI's tokenizer is installed.",
    )
)
@admit
def embed_openai(shared: Services) -> Response:
    """Embed the texts of a request from a client of OpenAI's API.

    Raises:
        InputError: the client wants another number of dimensions than the model has.
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
    """
    settings = shared.settings
    deadline = set_deadline(settings.timeout_s)
    document = decode_tokens(read_json(request, max_bytes=settings.max_body_bytes))
    wanted = validate(OpenAIRequest, document, max_items=settings.max_texts)
    config = shared.find_model(wanted.model)
    if wanted.dimensions not in (None, config.embed_dim):
        message = f"model {config.name!r} has {config.embed_dim} dimensions, which cannot be changed"
        raise InputError(message, problems=(Problem("/dimensions", message),))
    texts, pointers = locate_items("input", wanted.input)
    record = get_record()
    record.model, record.items = config.name, len(texts)
    prepared = prepare_texts(
        config,
        shared.find_tokenizer(config),
        texts,
        prompts=wanted,
        rules=ItemRules(pointers, wanted.truncate),
        max_chars=settings.max_text_chars,
    )
    vectors = embed(shared.engine, prepared, settings=settings.engine, deadline=deadline)
    rows = encode_rows(normalize_vectors(vectors.values), wanted.encoding_format)
    answer: dict[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
        "model": config.name,
        "usage": {"prompt_tokens": prepared.tokens, "total_tokens": prepared.tokens},
        **shared.describe_origin(config, prepared.options, digest=vectors.digest, dtype=vectors.dtype),
    }
    if prepared.prompts is not None:
        answer["prompts"] = prepared.prompts
    if prepared.warnings:
        answer["warnings"] = prepared.warnings
    return answer_json(answer)


@blueprint.get("/models")
@describe(
    Operation(
        summary="List the models, in OpenAI's shape",
        answer=OpenAIModelsAnswer,
        statuses=(401,),
        description="The models whose files are on this machine; /api/models lists all of them, with their state.",
    )
)
def list_openai_models() -> Response:
    """List the models that can serve here."""
    shared = get_services()
    data = [
        _describe_model(config) for config in shared.catalog.values() if shared.weights.find_missing(config) is None
    ]
    return answer_json({"object": "list", "data": data})


@blueprint.get("/models/<name>")
@describe(Operation(summary="Find a model, in OpenAI's shape", answer=OpenAIModel, statuses=(401, 404)))
def find_openai_model(name: str) -> Response:
    """Find one model, whether its files are here or not.

    Raises:
        UnknownModelError: no model has this name or alias.
    """
    return answer_json(_describe_model(get_services().catalog.resolve(name)))


def _describe_model(config: ModelConfig) -> dict[str, Any]:
    return {"id": config.name, "object": "model", "created": 0, "owned_by": config.source}
