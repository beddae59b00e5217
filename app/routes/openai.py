"""Text embeddings in the shape of OpenAI's API, so that its clients work against this service."""

from flask import Blueprint, Response, request

from app.access.admission import admitted
from app.answers.schemas import OpenAIAnswer
from app.answers.vectors import encoded, json_answer
from app.errors import InputError, Problem
from app.inference import embed, request_deadline
from app.intake.body import read_json
from app.intake.items import ItemRules, prepare_texts
from app.intake.schemas import (
    OpenAIRequest,
    PromptOptions,
    listed,
    pointers,
)
from app.intake.validation import validate
from app.reference.operations import Operation, operation
from app.services import services
from app.telemetry import record
from models.embedding import unit_length

blueprint = Blueprint("openai", __name__, url_prefix="/v1")


@blueprint.post("/embeddings")
@operation(
    Operation(
        summary="Embed texts, in OpenAI's shape",
        request=OpenAIRequest,
        answer=OpenAIAnswer,
        statuses=(400, 401, 404, 413, 415, 422, 429, 499, 503, 504),
        description="Vectors have unit length. Texts are embedded as given: write prompts such as <en> <ase> house.",
    )
)
@admitted
def embeddings() -> Response:
    deadline = request_deadline()
    settings = services().settings
    document = read_json(request, max_bytes=settings.max_body_bytes)
    wanted = validate(OpenAIRequest, document, max_items=settings.max_items)
    config = services().model(wanted.model)
    if wanted.dimensions not in (None, config.embed_dim):
        message = f"model {config.name!r} has {config.embed_dim} dimensions, which cannot be changed"
        raise InputError(message, problems=(Problem("/dimensions", message),))
    texts = listed(wanted.input)
    facts = record()
    facts.model, facts.items = config.name, len(texts)
    prepared = prepare_texts(
        config,
        services().tokenizer(config),
        texts,
        prompts=PromptOptions(),
        rules=ItemRules(pointers("input", wanted.input), wanted.truncate),
        max_chars=settings.max_text_chars,
    )
    values = unit_length(embed(config, prepared, skip=False, deadline=deadline).values)
    rows = encoded(values, wanted.encoding_format)
    return json_answer(
        {
            "object": "list",
            "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
            "model": config.name,
            "usage": {"prompt_tokens": prepared.tokens, "total_tokens": prepared.tokens},
        }
    )
