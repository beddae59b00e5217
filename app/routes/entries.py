"""Entries of a collection: stored, shown, changed and deleted."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from flask import Blueprint, Response, request

from app.access.admission import admit, hold_video_place
from app.answers import problems
from app.answers.entries import describe_entry, drop_empty
from app.answers.failures import list_failures
from app.answers.lines import answer_lines
from app.answers.search_schemas import DeletedAnswer, EntryAnswer, StoredAnswer
from app.answers.vectors import answer_json
from app.errors import RequestError
from app.indexing import Indexing, check_space, find_collection_model
from app.inference import set_deadline
from app.intake.body import read_json
from app.intake.entries import LINES, NewEntries, NewEntry, read_entries
from app.intake.entry_schemas import EntriesRequest, EntryChanges, EntryOptions
from app.intake.items import locate_error
from app.intake.validation import validate
from app.reference.operations import Operation, describe
from app.services import Services
from app.telemetry import get_record
from models.errors import ModelsError
from poses.errors import PoseError
from poses.headers import ReadLimits
from poses.previews import PreviewKind, draw_preview
from poses.reading import read
from processes.errors import ProcessError
from search.entries import Collection, Entry, check_entry
from search.errors import EntryInvalidError, EntryUnknownError, PreviewMissingError, SearchError, SpaceMismatchError
from video.errors import EstimatorError, VideoError

blueprint = Blueprint("entries", __name__, url_prefix="/api/collections/<name>/entries")

# Entries that are embedded together; with the most frames of a model they fill a quarter of the default queue.
_EMBEDDED_AT_ONCE = 256
# Types of previews, by the end of their names.
PREVIEWS: dict[PreviewKind, str] = {
    "svg": "image/svg+xml",
    "webp": "image/webp",
    "gif": "image/gif",
    "pose": "application/octet-stream",
}
_STATUSES = (400, 401, 404, 409, 413, 415, 422, 429, 499, 503, 504, 507)


@blueprint.post("")
@describe(
    Operation(
        summary="Store entries",
        request=EntriesRequest,
        options=EntryOptions,
        answer=StoredAnswer,
        statuses=_STATUSES,
        lines=True,
        description="Entries are poses, videos, texts or vectors with what is known about them: as JSON; as multipart "
        "file parts named pose or video, with the options as fields and a field entries that holds a JSON list with "
        "what is known about each file; or as application/x-ndjson, an entry a line and the options in the query. "
        "JSON and forms are stored whole or not at all. Lines are stored in batches as they arrive, so that a request "
        "may be of any length. With Accept: application/x-ndjson, lines with done, failed and total come first; "
        "what they count as done of lines is stored. The last line is the answer, or the problem.",
    )
)
@admit
def store_entries(shared: Services, name: str) -> Response:
    """Store the entries of a request.

    Raises:
        SearchError: there is no such collection, an entry cannot be stored, or the store fails.
        RequestError, ModelsError, ProcessError: the request is refused, or the engine cannot answer it.
        EstimatorError: the estimation of a video failed.
    """
    set_deadline(shared.settings.timeout_s)
    collection = shared.store.describe_collection(name)
    storing = _Storing(shared, collection, read_entries(request, shared.settings))
    if request.accept_mimetypes.best_match(["application/json", LINES]) == LINES:
        return answer_lines(storing.write_lines())
    for _ in storing.follow():
        pass
    return answer_json(storing.build_answer())


@blueprint.get("/<entry_id>")
@describe(Operation(summary="Show an entry", answer=EntryAnswer, statuses=(401, 404, 422, 429, 503)))
@admit
def show_entry(shared: Services, name: str, entry_id: str) -> Response:
    """Show an entry with its vector.

    Raises:
        SearchError: there is no such collection or entry, or the store cannot be read.
    """
    return answer_json(describe_entry(name, find_entry(shared, name, entry_id)))


@blueprint.get("/<entry_id>/preview.<kind>")
@describe(
    Operation(
        summary="Draw an entry's clip",
        answer=None,
        media=tuple(PREVIEWS.values()),
        statuses=(401, 404, 422, 429, 503),
        description="kind is svg, webp, gif or pose: the skeleton of body and hands in at most 50,000 bytes, drawn "
        "from the pose that is kept. No preview shows a face or a video.",
    )
)
@admit
def show_preview(shared: Services, name: str, entry_id: str, kind: str) -> Response:
    """Draw the clip of an entry.

    Raises:
        PreviewMissingError: the entry keeps no pose, or there is no such kind of preview.
        SearchError: there is no such collection or entry, or the store cannot be read.
        PoseError: the pose that is kept cannot be drawn.
    """
    if kind not in PREVIEWS:
        raise PreviewMissingError(f"there is no preview.{kind[:16]}; use preview.{', .'.join(PREVIEWS)}")
    entry = find_entry(shared, name, entry_id)
    if entry.pose is None:
        raise PreviewMissingError(f"entry {entry_id[:200]!r} keeps no pose; store it with keep_pose: true")
    pose = read(entry.pose, limits=ReadLimits(max_bytes=shared.settings.max_body_bytes))
    person = 0 if pose.body.data.shape[1] > 1 else None
    # A picture of an address shows what is stored there now; it is drawn in milliseconds.
    headers = {"Cache-Control": "private, max-age=60", "Content-Security-Policy": "default-src 'none'"}
    return Response(draw_preview(pose, kind, person=person), mimetype=PREVIEWS[kind], headers=headers)


@blueprint.patch("/<entry_id>")
@describe(
    Operation(
        summary="Change what is known about an entry",
        request=EntryChanges,
        answer=EntryAnswer,
        statuses=(400, 401, 404, 413, 415, 422, 429, 503, 507),
        description="What is not sent stays as it is. For another vector, store the entry again.",
    )
)
@admit
def change_entry(shared: Services, name: str, entry_id: str) -> Response:
    """Change facts of an entry.

    Raises:
        SearchError: there is no such collection or entry, it cannot be stored, or the store fails.
        RequestError: the request is refused.
    """
    document = read_json(request, max_bytes=shared.settings.max_body_bytes)
    wanted = validate(EntryChanges, document, max_items=0)
    changes: dict[str, Any] = {key: getattr(wanted, key) for key in wanted.model_fields_set}
    if "texts" in changes:
        changes["texts"] = tuple(changes["texts"])
    changed = shared.store.change_entry(name, entry_id, lambda entry: replace(entry, **changes))
    return answer_json(describe_entry(name, changed))


@blueprint.delete("/<entry_id>")
@describe(Operation(summary="Delete an entry", answer=DeletedAnswer, statuses=(401, 404, 422, 429, 503, 507)))
@admit
def delete_entry(shared: Services, name: str, entry_id: str) -> Response:
    """Delete an entry.

    Raises:
        EntryUnknownError: there is no such entry.
        SearchError: there is no such collection, or the store cannot be written.
    """
    deleted = shared.store.delete_entries(name, [entry_id])
    if not deleted:
        raise _make_unknown(name, entry_id)
    return answer_json({"deleted": deleted})


def find_entry(shared: Services, name: str, entry_id: str) -> Entry:
    """Find an entry of a collection.

    Raises:
        EntryUnknownError: there is no such entry.
        SearchError: there is no such collection, or the store cannot be read.
    """
    found = shared.store.find_entries(name, [entry_id]).get(entry_id)
    if found is None:
        raise _make_unknown(name, entry_id)
    return found


def _make_unknown(name: str, entry_id: str) -> EntryUnknownError:
    return EntryUnknownError(f"collection {name!r} has no entry {entry_id[:200]!r}")


@dataclass
class _Storing:
    """The entries of one request on their way into the store."""

    shared: Services
    collection: Collection
    wanted: NewEntries
    ids: list[str] = field(default_factory=list)
    failures: dict[int, Exception] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    seen: int = 0

    def follow(self) -> Iterator[dict[str, int | None]]:
        """Embed and store the entries, and report after each part how many are done.

        Raises:
            RequestError, SearchError, ModelsError, ProcessError, EstimatorError: see store_entries.
        """
        for batch in self.wanted.batches:
            entries: list[Entry] = []
            for start in range(0, len(batch), _EMBEDDED_AT_ONCE):
                part = batch[start : start + _EMBEDDED_AT_ONCE]
                entries += self._index(part)
                if len(part) < len(batch):
                    yield self._count()
            self.shared.store.upsert(self.collection.name, entries)
            self.ids += [entry.id for entry in entries]
            get_record().items = self.seen
            yield self._count()

    def write_lines(self) -> Iterator[bytes]:
        """Write lines of progress, then the answer or the problem. The status was sent before either was known."""
        try:
            for progress in self.follow():
                yield orjson.dumps(progress, option=orjson.OPT_APPEND_NEWLINE)
            yield orjson.dumps(self.build_answer(), option=orjson.OPT_APPEND_NEWLINE)
        except (RequestError, SearchError, ModelsError, ProcessError, PoseError, VideoError, EstimatorError) as error:
            yield problems.answer_problem(error).get_data() + b"\n"

    def build_answer(self) -> dict[str, Any]:
        """Build the answer about what was stored."""
        remarks = {"errors": list_failures(self.failures), "warnings": self.warnings}
        stored = {"stored": len(self.ids), "ids": self.ids, "space": self.collection.space}
        return stored | drop_empty(remarks)

    def _index(self, part: Sequence[NewEntry]) -> list[Entry]:
        shared, record = self.shared, get_record()
        config = None
        if any(entry.kind != "vector" for entry in part):
            config = find_collection_model(shared, self.collection, self.wanted.options.model_name)
        has_videos = any(entry.kind == "video" for entry in part)
        # Every part has the time of a request, because lines may arrive for as long as the client sends them.
        record.model = None if config is None else config.name
        allowed_s = shared.settings.video_timeout_s if has_videos else shared.settings.timeout_s
        deadline = set_deadline(allowed_s, since=time.monotonic())
        indexing = Indexing(
            shared, config, part, space=self.collection.space, options=self.wanted.options, deadline=deadline
        )
        with hold_video_place(shared) if has_videos else nullcontext():
            found = indexing.run()
        failures = found.failures | self._check(found.entries, part)
        self.failures |= {self.seen + row: error for row, error in failures.items()}
        self.warnings += found.warnings
        self.seen += len(part)
        return [entry for row, entry in found.entries.items() if row not in failures]

    def _check(self, entries: Mapping[int, Entry], part: Sequence[NewEntry]) -> dict[int, Exception]:
        """Check whether entries can be stored, before any of them is; returns which are skipped, and why."""
        failures: dict[int, Exception] = {}
        for row, entry in entries.items():
            try:
                check_space(self.collection, entry.space)
                check_entry(entry, space=self.collection.space, dimensions=self.collection.dimensions)
            except (EntryInvalidError, SpaceMismatchError) as error:
                # Where the weights were replaced, no entry of theirs is at fault, and none is skipped.
                of_entry = isinstance(error, EntryInvalidError) or part[row].kind == "vector"
                if of_entry and self.wanted.options.on_error == "skip":
                    failures[row] = error
                elif isinstance(error, EntryInvalidError):
                    raise locate_error(error, part[row].pointer) from error
                else:
                    raise
        return failures

    def _count(self) -> dict[str, int | None]:
        return {"done": self.seen - len(self.failures), "failed": len(self.failures), "total": self.wanted.total}
