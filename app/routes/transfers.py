"""Whole collections as Parquet files: imported and exported."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
from flask import Blueprint, Response, request

from app.access.admission import admit
from app.answers import problems
from app.answers.lines import answer_lines
from app.answers.search_schemas import StoredAnswer
from app.answers.vectors import answer_json
from app.errors import RequestError
from app.indexing import check_space
from app.inference import check_deadline, set_deadline
from app.intake.body import read_pieces
from app.intake.entries import LINES, MAX_IMPORT_BYTES
from app.intake.entry_schemas import ExportOptions
from app.intake.filters import read_filter
from app.intake.media_types import refuse_media_type
from app.intake.options import read_query
from app.intake.validation import validate
from app.reference.operations import Operation, describe
from app.services import Services
from app.telemetry import get_record
from processes.errors import ProcessError
from search.entries import Collection
from search.errors import SearchError

blueprint = Blueprint("transfers", __name__, url_prefix="/api/collections/<name>")

PARQUET = "application/vnd.apache.parquet"


@blueprint.post("/entries:import")
@describe(
    Operation(
        summary="Import entries from Parquet",
        answer=StoredAnswer,
        statuses=(400, 401, 404, 408, 409, 413, 415, 422, 429, 499, 503, 504, 507),
        lines=True,
        takes=PARQUET,
        description="The body is a Parquet file with the columns id and vector, and any of those of an export. Entries "
        "are stored in batches of 1,024, each whole or not at all; what is stored when the deadline passes stays. With "
        "Accept: application/x-ndjson, lines that count what is stored come first. The last line is the answer, or the "
        "problem.",
    )
)
@admit
def import_entries(shared: Services, name: str) -> Response:
    """Store the entries of a Parquet file.

    Raises:
        SearchError: there is no such collection, the file or an entry cannot be stored, or the store fails.
        RequestError: the request is refused.
        DeadlineExceededError: the deadline passed before every entry was stored.
    """
    set_deadline(shared.settings.video_timeout_s)
    collection = shared.store.describe_collection(name)
    if request.mimetype not in (PARQUET, "application/octet-stream"):
        raise refuse_media_type(request.mimetype, [PARQUET])
    # On the disk, because the end of a Parquet file says where its columns are.
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="signclip-import-"))) / "entries.parquet"
        with path.open("wb") as file:
            for piece in read_pieces(request, max_bytes=MAX_IMPORT_BYTES):
                file.write(piece)
        counts = _import(shared, collection, path)
        if request.accept_mimetypes.best_match(["application/json", LINES]) == LINES:
            kept = stack.pop_all()
            return answer_lines(_write_lines(counts, collection, kept), on_close=kept.close)
        stored = max(counts, default=0)
    return answer_json({"stored": stored, "space": collection.space})


@blueprint.get("/entries:export")
@describe(
    Operation(
        summary="Export entries as Parquet",
        answer=None,
        query=ExportOptions,
        media=(PARQUET,),
        statuses=(401, 404, 422, 429, 503),
        description="Columns: id, vector, kind, gloss, texts, sign_language, spoken_language, source, tags (JSON), "
        "pose (.pose packed with zstd), quality (JSON), signature, space, created. An import takes the file as it is.",
    )
)
@admit
def export_entries(shared: Services, name: str) -> Response:
    """Answer the entries of a collection as a Parquet file.

    Raises:
        SearchError: there is no such collection or version, a filter is refused, or the store cannot be read.
        RequestError: the request is refused.
    """
    wanted = validate(ExportOptions, read_query(request), max_items=0, strict=False)
    collection = shared.store.describe_collection(name)
    version = collection.version if wanted.version is None else wanted.version
    batches = shared.store.iterate(name, filter=read_filter(wanted.filter), version=version, with_pose=wanted.with_pose)
    # Late, because a service that does not search needs no pyarrow.
    from search.parquet import write_parquet

    pieces = write_parquet(batches, collection.dimensions)
    first = next(pieces, b"")  # what is wrong with the request shows before the status is sent
    headers = {"Content-Disposition": f'attachment; filename="{name}.parquet"'}
    return Response(_chain(first, pieces), mimetype=PARQUET, headers=headers)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _import(shared: Services, collection: Collection, path: Path) -> Iterator[int]:
    """Store the entries of a file, and count after each batch how many are stored."""
    from search.parquet import read_parquet  # late, because a service that does not search needs no pyarrow

    stored = 0
    for entries in read_parquet(path, space=collection.space):
        for entry in entries:
            check_space(collection, entry.space)
        check_deadline(f"when {stored} entries were stored; import the rest, or all again: equal ids are replaced")
        shared.store.upsert(collection.name, entries)
        stored += len(entries)
        get_record().items = stored
        yield stored


def _write_lines(counts: Iterator[int], collection: Collection, kept: ExitStack) -> Iterator[bytes]:
    """Write lines that count what is stored, then the answer or the problem; give up what was kept for it."""
    stored = 0
    try:
        for stored in counts:
            line = {"done": stored, "failed": 0, "total": None}
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        answer = {"stored": stored, "space": collection.space}
        yield orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE)
    except (RequestError, SearchError, ProcessError) as error:
        yield problems.answer_problem(error).get_data() + b"\n"
    finally:
        kept.close()
