"""The least score of a search that asks for none but hits that fit: chosen by what clips find that fit nothing."""

from collections import OrderedDict
from dataclasses import replace
from threading import Lock

import numpy as np

from app.indexing import check_space, find_collection_model
from app.inference import check_deadline
from app.services import Services
from search.entries import Collection, Kind
from search.errors import CalibrationError
from search.interface import SearchOptions
from search.null import DEFAULT_RATE, find_least_score

# Queries of the background; more make the threshold no better than its rate of 5 % needs.
_MOST_QUERIES = 200
# Thresholds that are remembered; a collection that changes gets a new one.
_REMEMBERED = 256
_known: OrderedDict[tuple[object, ...], float] = OrderedDict()
_lock = Lock()


def choose_min_score(shared: Services, collection: Collection, options: SearchOptions, *, kind: Kind) -> float:
    """Choose the score that at most 5 % of the model's background reach in a collection.

    Args:
        options: of the search; its filter counts, because fewer entries are reached less often.
        kind: of the query: a clip is compared with what clips find, a text with what texts find.
    Raises:
        CalibrationError: the model has no background of this kind, or one that is too small.
        SearchError: the collection is of another model's space, or the store cannot be read.
        DeadlineExceededError: the request's deadline passed before.
    """
    config = find_collection_model(shared, collection)
    digest = shared.engine.list_statuses()[config.name].digest
    if digest is not None:
        check_space(collection, shared.describe_origin(config, {}, digest=digest, dtype=None)["space"] or "")
    background = shared.find_background(config, digest=digest)
    vectors = None if background is None else background.clips if kind == "pose" else background.texts
    if vectors is None or not len(vectors):
        what = "clips" if kind == "pose" else "texts"
        raise CalibrationError(
            f'model {config.name!r} has no background of {what} that fit nothing, which min_score "auto" needs; send '
            "a number, or make a background with `python -m dictionary calibrate`"
        )
    asked = replace(options, k=1, min_score=None, group_by=None)
    key = (collection.name, collection.created, collection.version, repr(asked), kind, digest)
    with _lock:
        if key in _known:
            return _known[key]
    check_deadline('before min_score "auto" was found; send the request again, or send a number')
    rows = np.linspace(0, len(vectors) - 1, min(len(vectors), _MOST_QUERIES)).astype(np.int64)
    found = shared.store.search(collection.name, vectors[rows], asked)
    best = np.array([hits[0].score if hits else -1.0 for hits in found])
    least = find_least_score(best, rate=DEFAULT_RATE)
    with _lock:
        _known[key] = least
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    return least
