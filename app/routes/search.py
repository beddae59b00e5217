"""Searches of one collection, or of all collections whose vectors may be compared with the query."""

from contextlib import nullcontext
from dataclasses import replace

from flask import Blueprint, Response, request

from app.access.admission import admit, hold_video_place
from app.answers.entries import describe_hit, drop_empty
from app.answers.search_schemas import SearchAnswer
from app.answers.vectors import answer_json
from app.errors import InputError, Problem
from app.indexing import Indexing, check_space, find_collection_model
from app.inference import set_deadline
from app.intake.body import find_file_kind, read_file, read_json
from app.intake.entries import NewEntry
from app.intake.entry_schemas import (
    CONTENT,
    CollectionSearchRequest,
    EntryFacts,
    EntryOptions,
    SearchParameters,
    SearchRequest,
)
from app.intake.filters import read_filter
from app.intake.media_types import refuse_media_type
from app.intake.options import read_query
from app.intake.validation import validate
from app.intake.videos import limit_body
from app.reference.operations import Operation, describe
from app.services import Services
from app.telemetry import get_record
from app.thresholds import choose_min_score
from search.entries import Collection, Entry
from search.errors import CollectionUnknownError
from search.interface import Hit, SearchOptions

blueprint = Blueprint("search", __name__, url_prefix="/api")

_STATUSES = (400, 401, 404, 409, 413, 415, 422, 429, 499, 503, 504)
_ABOUT = (
    "The query is one pose, video, text or vector: as JSON, or as one raw .pose or video/* body with the options in "
    "the query. Scores are cosines. "
)


@blueprint.post("/collections/<name>/search")
@describe(
    Operation(
        summary="Search a collection",
        request=CollectionSearchRequest,
        answer=SearchAnswer,
        statuses=_STATUSES,
        description=_ABOUT + "A query of another space is answered 409.",
    )
)
@admit
def search_collection(shared: Services, name: str) -> Response:
    """Search one collection.

    Raises:
        SearchError: there is no such collection, the query belongs to another space, or the store fails.
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
        EstimatorError: the estimation of a video failed.
    """
    collection = shared.store.describe_collection(name)
    wanted, new = _read_query(shared, CollectionSearchRequest)
    query, warnings = _embed_query(shared, wanted, new, collection=collection)
    return _answer(shared, [collection], query, wanted=wanted, warnings=warnings)


@blueprint.post("/search")
@describe(
    Operation(
        summary="Search collections",
        request=SearchRequest,
        answer=SearchAnswer,
        statuses=_STATUSES,
        description=_ABOUT + "Without collections, all collections of the query's space are searched. A vector names "
        "its space.",
    )
)
@admit
def search_collections(shared: Services) -> Response:
    """Search several collections.

    Raises:
        SearchError: there is no such collection, the query belongs to another space, or the store fails.
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
        EstimatorError: the estimation of a video failed.
    """
    wanted, new = _read_query(shared, SearchRequest)
    names = wanted.collections if isinstance(wanted, SearchRequest) else None
    named = None if names is None else [shared.store.describe_collection(name) for name in dict.fromkeys(names)]
    query, warnings = _embed_query(shared, wanted, new, collection=named[0] if named else None)
    if named is None:
        every = _choose_collections(shared.store.list_collections(), query)
        return _answer(shared, every, query, wanted=wanted, warnings=warnings, may_be_gone=True)
    return _answer(shared, named, query, wanted=wanted, warnings=warnings)


def _read_query(shared: Services, whole: type[CollectionSearchRequest]) -> tuple[SearchParameters, NewEntry]:
    """Read what is searched for, from JSON or from a raw file with the options in the query."""
    settings = shared.settings
    set_deadline(settings.timeout_s)
    limits = (settings.max_body_bytes, limit_body(settings, in_json=request.is_json))
    request.max_content_length = max_bytes = max(limits)
    file_kind = find_file_kind(request.mimetype)
    if file_kind is not None:
        data = read_file(request, max_bytes=max_bytes)
        parameters = validate(SearchParameters, read_query(request), max_items=0, strict=False)
        return parameters, NewEntry("query", _collect_facts(parameters), f"/{file_kind}", file_kind, data)
    if request.mimetype and not request.is_json:
        raise refuse_media_type(request.mimetype, ["application/json", "video/*", "application/octet-stream"])
    wanted = validate(whole, read_json(request, max_bytes=max_bytes), max_items=0)
    kind = next(name for name in CONTENT if getattr(wanted, name) is not None)
    return wanted, NewEntry("query", _collect_facts(wanted), f"/{kind}", kind, getattr(wanted, kind))


def _collect_facts(wanted: SearchParameters) -> EntryFacts:
    return EntryFacts(sign_language=wanted.sign_language, spoken_language=wanted.spoken_language)


def _embed_query(
    shared: Services, wanted: SearchParameters, new: NewEntry, *, collection: Collection | None
) -> tuple[Entry, list[str]]:
    """Make the query's vector, with the model of a collection or with the one that is asked for."""
    record = get_record()
    record.items = 1
    config, space = None, ""
    if new.kind == "vector":
        space = _find_space(wanted, collection)
    elif collection is not None:
        config = find_collection_model(shared, collection, wanted.model_name)
    else:
        config = shared.find_model(wanted.model_name)
    record.model = None if config is None else config.name
    settings = shared.settings
    deadline = set_deadline(settings.video_timeout_s if new.kind == "video" else settings.timeout_s)
    options = EntryOptions(
        keep_pose=False, **{key: getattr(wanted, key) for key in EntryOptions.model_fields if hasattr(wanted, key)}
    )
    indexing = Indexing(shared, config, [new], space=space, options=options, deadline=deadline)
    indexing.needs_hands = not wanted.allow_no_hands
    with hold_video_place(shared) if new.kind == "video" else nullcontext():
        found = indexing.run()
    entry = found.entries[0]
    if isinstance(wanted, CollectionSearchRequest) and new.kind == "vector":
        entry = replace(entry, signature=wanted.signature)
    return entry, found.warnings


def _find_space(wanted: SearchParameters, collection: Collection | None) -> str:
    """Find the space that a vector of the request belongs to."""
    given = wanted.space if isinstance(wanted, CollectionSearchRequest) else None
    if given is None and collection is None:
        message = "a vector needs its space, or the names of collections, because it does not say where it belongs"
        raise InputError(message, problems=(Problem("/space", message),))
    return given or ("" if collection is None else collection.space)


def _choose_collections(known: list[Collection], query: Entry) -> list[Collection]:
    """Choose the collections that a query can be compared with; nobody named one, so no other refuses the request.

    Anybody may give a space any name, so collections of one space may have vectors of different lengths.
    """
    alike = [found for found in known if found.space == query.space]
    fitting = [found for found in alike if found.dimensions == len(query.vector)]
    return fitting or alike


def _answer(
    shared: Services,
    collections: list[Collection],
    query: Entry,
    *,
    wanted: SearchParameters,
    warnings: list[str],
    may_be_gone: bool = False,
) -> Response:
    least = None if wanted.min_score == "auto" else wanted.min_score
    options = SearchOptions(wanted.k, read_filter(wanted.filter), least, wanted.group_by, wanted.mode)
    found: list[tuple[Collection, Hit]] = []
    for collection in collections:
        try:
            hits = _search(shared, collection, query, options, with_least=wanted.min_score == "auto")
        except CollectionUnknownError:
            if not may_be_gone:  # nobody named it, and it was deleted since it was listed
                raise
            continue
        found += [(collection, hit) for hit in hits]
    if len(collections) > 1:
        found = _merge(found, options)
    signatures = {hit.signature for _, hit in found if hit.signature is not None}
    others = signatures - {query.signature}
    if query.signature is not None and others:
        warnings = [
            *warnings,
            f"the query has signature {query.signature}, hits have {', '.join(sorted(others))}: they were made with "
            "other options or another number format, which moves vectors",
        ]
    hits_shown = [describe_hit(collection.name, hit) for collection, hit in found]
    answer = {"hits": hits_shown, "space": query.space, "signature": query.signature}
    return answer_json(answer | drop_empty({"warnings": warnings}))


def _search(
    shared: Services, collection: Collection, query: Entry, options: SearchOptions, *, with_least: bool
) -> list[Hit]:
    check_space(collection, query.space)
    if with_least:
        options = replace(options, min_score=choose_min_score(shared, collection, options, kind=query.kind))
    [hits] = shared.store.search(collection.name, query.vector[None], options)
    return hits


def _merge(found: list[tuple[Collection, Hit]], options: SearchOptions) -> list[tuple[Collection, Hit]]:
    """Merge the hits of several collections, with ranks of their own."""
    found = sorted(found, key=lambda pair: (-pair[1].score, pair[1].id, pair[0].name))
    if options.group_by is not None:
        best: dict[str, tuple[Collection, Hit]] = {}
        for number, (collection, hit) in enumerate(found):
            best.setdefault(hit.gloss or f"\0{number}", (collection, hit))
        found = list(best.values())
    return [(collection, replace(hit, rank=rank)) for rank, (collection, hit) in enumerate(found[: options.k], start=1)]
