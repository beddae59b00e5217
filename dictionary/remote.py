"""A dictionary in a service: clips are sent, and the service embeds, stores and answers."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pose_format import Pose

from corpora.clip_files import read_pose
from corpora.errors import CorpusError
from corpora.examples import Example
from dictionary.errors import ServiceError
from dictionary.interface import OnProgress, Question
from dictionary.packing import pack_pose
from poses.recordings import RecordingFile
from poses.windows import HOP_S
from processes.os_errors import describe_error
from search.annotations import Find

# Of recordings that are sent in parts: a minute of MediaPipe's points takes 14 MB, and the service takes 64 MB.
_PART_S = 60.0
# Parts overlap by more than the longest window and a sign beside it, so that no sign is cut at both ends.
_OVERLAP_S = 5.0
_TIMEOUT_S = 600.0


class RemoteDictionary:
    """Collections of a service.

    Args:
        url: where the service is.
        api_key: when the service asks for one.
        model_name: a name of GET /api/models; None: the service's default, or the collection's own.
    """

    def __init__(self, url: str, *, api_key: str | None = None, model_name: str | None = None) -> None:
        self._url = (url if "://" in url else f"http://{url}").rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._model = {} if model_name is None else {"model_name": model_name}

    def open_collection(self, name: str, clips: Sequence[Example]) -> set[str]:
        """See Dictionary.open_collection."""
        path = f"/api/collections/{urllib.parse.quote(name)}"
        self._ask("PUT", path, dict(self._model))
        if not self._ask("GET", path, None)["entries"]:
            return set()
        present = set()
        for clip in clips:
            try:
                self._ask("GET", f"{path}/entries/{urllib.parse.quote(clip.id)}", None)
                present.add(clip.id)
            except ServiceError as error:
                if error.code != "entry_unknown":
                    raise
        return present

    def store(self, name: str, clips: Sequence[Example]) -> dict[str, str]:
        """See Dictionary.store."""
        failures: dict[str, str] = {}
        entries = []
        for clip in clips:
            try:
                pose = _encode(read_pose(clip))
            except CorpusError as error:
                failures[clip.id] = str(error)
                continue
            facts = {"id": clip.id, "gloss": clip.text, "source": clip.path.name, "pose": pose}
            languages = {"sign_language": clip.sign_language, "spoken_language": clip.spoken_language}
            entries.append(facts | {key: value for key, value in languages.items() if value is not None})
        if entries:
            path = f"/api/collections/{urllib.parse.quote(name)}/entries"
            answer = self._ask("POST", path, {"entries": entries, "on_error": "skip"})
            for failed in answer.get("errors", ()):
                failures[str(entries[failed["index"]]["id"])] = failed["detail"]
        return failures

    def search(self, name: str, *, clip: Path | None, text: str | None, sign_language: str | None, k: int) -> Any:
        """See Dictionary.search."""
        query: dict[str, Any] = {"k": k, **({"sign_language": sign_language} if sign_language else {})}
        if clip is not None:
            query["pose"] = base64.b64encode(clip.read_bytes()).decode()
        else:
            query["text"] = text
        answer = self._ask("POST", f"/api/collections/{urllib.parse.quote(name)}/search", query)
        if clip is not None and any(hit.get("gloss") for hit in answer["hits"]):
            asked = {"collection": name, "pose": query["pose"]}
            answer["classified"] = self._ask("POST", "/api/classify", asked)["results"][0]
        return answer

    def report(self, name: str, method: str) -> Any:
        """See Dictionary.report."""
        return self._ask("POST", f"/api/collections/{urllib.parse.quote(name)}/report", {"method": method})

    def spot(self, recording: Path, question: Question, on_progress: OnProgress) -> list[Find]:
        """See Dictionary.spot. The recording is sent in parts that overlap, so that the service's limits hold."""
        asked: dict[str, Any] = {**self._model, "false_accept_rate": question.rate}
        asked |= {"collection": question.collection} if question.collection else {"query": list(question.queries)}
        asked |= {
            key: value
            for key, value in (("sign_language", question.sign_language), ("threshold", question.threshold))
            if value is not None
        }
        finds: list[Find] = []
        with RecordingFile(recording) as opened:
            parts = list(_split(opened.frames, opened.fps))
            for number, (start, stop) in enumerate(parts):
                body = {**asked, "pose": _encode(opened.read(start, stop))}
                offset_s = start / opened.fps
                for found in self._ask("POST", "/api/spot", body)["found"]:
                    find = Find(**found)
                    finds.append(replace(find, start_s=find.start_s + offset_s, end_s=find.end_s + offset_s))
                on_progress(number + 1, len(parts))
        return _drop_repeated(finds)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise _read_problem(error) from error
        except OSError as error:  # urllib's URLError is one
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            said = describe_error(reason) if isinstance(reason, Exception) else reason
            raise ServiceError(f"no answer from {self._url}: {said}; is the service running there?") from error
        except (ValueError, RecursionError) as error:  # the last for lists nested thousands deep
            raise ServiceError(f"{self._url} answered no JSON; is this the address of the service?") from error


def _read_problem(error: urllib.error.HTTPError) -> ServiceError:
    try:
        problem = json.loads(error.read())
        found = ServiceError(f"{error.code} {problem['title']} ({problem['code']}): {problem['detail']}")
        found.code = problem["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = ServiceError(f"{error.code} {error.reason}")
    return found


def _encode(pose: Pose) -> str:
    return base64.b64encode(pack_pose(pose)).decode()


def _split(frames: int, fps: float) -> Iterator[tuple[int, int]]:
    """Split a recording into parts that overlap; they start where windows of the whole recording start."""
    part, overlap = round(_PART_S * fps), round(_OVERLAP_S * fps)
    # A multiple of every stride, the longest of which is a quarter of the longest window.
    strides = 16 * max(1, round(HOP_S * fps))
    start = 0
    while start + part < frames:
        yield start, start + part
        start += max(1, (part - overlap) // strides) * strides
    yield start, frames


def _drop_repeated(finds: Sequence[Find]) -> list[Find]:
    """Keep the better of finds of one label that overlap, because the ends of parts are searched twice."""
    kept: list[Find] = []
    for _, same in groupby(sorted(finds, key=lambda find: (find.label, find.start_s)), key=lambda find: find.label):
        own: list[Find] = []
        for find in same:
            if own and find.start_s < own[-1].end_s:
                own[-1] = max(own[-1], find, key=lambda one: one.score)
            else:
                own.append(find)
        kept += own
    return sorted(kept, key=lambda find: find.start_s)
