"""Collections: created, listed, described and deleted."""

from flask import Blueprint, Response, request

from app.access.admission import admit
from app.answers.entries import describe_collection
from app.answers.search_schemas import CollectionAnswer, CollectionsAnswer, DeletedAnswer
from app.answers.vectors import answer_json
from app.inference import embed, set_deadline
from app.intake.body import read_json
from app.intake.entry_schemas import CollectionRequest
from app.intake.items import ItemRules, prepare_texts
from app.intake.schemas import PromptOptions
from app.intake.validation import validate
from app.reference.operations import Operation, describe
from app.services import Services
from models.catalog import ModelConfig
from models.errors import CheckpointError

blueprint = Blueprint("collections", __name__, url_prefix="/api/collections")


@blueprint.put("/<name>")
@describe(
    Operation(
        summary="Create a collection",
        request=CollectionRequest,
        answer=CollectionAnswer,
        statuses=(400, 401, 404, 409, 413, 415, 422, 429, 499, 503, 504, 507),
        description="A collection holds vectors of one space: by default those of the default model. Creating one that "
        "exists changes its description alone. A name has 1 to 48 of a-z, 0-9, _ and -.",
    )
)
@admit
def create_collection(shared: Services, name: str) -> Response:
    """Create a collection, or change its description.

    Raises:
        SearchError: the name is refused, the collection exists with another space, or the store fails.
        RequestError, ModelsError, ProcessError: the request is refused, or the model's space cannot be found out.
    """
    deadline = set_deadline(shared.settings.timeout_s)
    document = read_json(request, max_bytes=shared.settings.max_body_bytes)
    wanted = validate(CollectionRequest, document, max_items=0)
    if wanted.space is not None and wanted.dimensions is not None:
        space, dimensions = wanted.space, wanted.dimensions
    else:
        config = shared.find_model(wanted.model_name)
        space, dimensions = find_space(shared, config, deadline=deadline), config.embed_dim
    made = shared.store.create_collection(name, space=space, dimensions=dimensions, description=wanted.description)
    return answer_json(describe_collection(made))


@blueprint.get("")
@describe(
    Operation(summary="List the collections", answer=CollectionsAnswer, statuses=(401, 429, 503)),
)
@admit
def list_collections(shared: Services) -> Response:
    """List the collections by name.

    Raises:
        StoreError: the store cannot be read.
    """
    return answer_json({"collections": [describe_collection(found) for found in shared.store.list_collections()]})


@blueprint.get("/<name>")
@describe(
    Operation(summary="Describe a collection", answer=CollectionAnswer, statuses=(401, 404, 422, 429, 503)),
)
@admit
def show_collection(shared: Services, name: str) -> Response:
    """Describe a collection.

    Raises:
        SearchError: there is no such collection, or the store cannot be read.
    """
    return answer_json(describe_collection(shared.store.describe_collection(name)))


@blueprint.delete("/<name>")
@describe(
    Operation(
        summary="Delete a collection",
        answer=DeletedAnswer,
        statuses=(401, 404, 422, 429, 503),
        description="Its entries and their earlier versions are deleted with it.",
    )
)
@admit
def delete_collection(shared: Services, name: str) -> Response:
    """Delete a collection with all its entries.

    Raises:
        SearchError: there is no such collection, or the store cannot be written.
    """
    entries = shared.store.describe_collection(name).entries
    shared.store.delete_collection(name)
    return answer_json({"deleted": entries})


def find_space(shared: Services, config: ModelConfig, *, deadline: float) -> str:
    """Find the space of a model's vectors; a model that is not loaded is loaded for it.

    Args:
        deadline: in seconds of time.monotonic().
    Raises:
        CheckpointError: the model's weights have no digest.
        ModelsError, ProcessError: the model does not load, or the engine is away.
    """
    digest = shared.engine.list_statuses()[config.name].digest
    if digest is None:
        prepared = prepare_texts(
            config,
            shared.find_tokenizer(config),
            ["a"],
            prompts=PromptOptions(),
            rules=ItemRules(["/model_name"]),
            max_chars=1,
        )
        digest = embed(shared.engine, prepared, settings=shared.settings.engine, deadline=deadline).digest
    space = shared.describe_origin(config, {}, digest=digest, dtype=None)["space"]
    if space is None:
        raise CheckpointError(f"the weights of model {config.name!r} have no digest")
    return space
