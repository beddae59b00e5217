"""A client of the SignCLIP service: a small class to copy, and a command line that shows what it gives.

    python client_example.py                              # example texts against each other
    python client_example.py house.pose tree.mp4          # clips, poses or videos, against example texts
    python client_example.py --text house --text tree --sign-language ase house.pose

Needs `requests` and `numpy`, nothing of this project.
"""

from __future__ import annotations

import argparse
import base64
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import requests

DEFAULT_URL = "http://localhost:3030"
EXAMPLE_WORDS = ["A", "B", "C", "house"]
EXAMPLE_TEXTS = [f"<en> <ase> {word}" for word in EXAMPLE_WORDS]
# A server that is busy or restarts says in Retry-After how long it needs; nobody waits longer than this for one try.
LONGEST_WAIT_S = 30.0
# Packed poses go as they are: the server unpacks them.
POSE_SUFFIXES = (".pose", ".pose.gz", ".pose.zst")
MATRICES = ("cosine", "dot", "probabilities")
# A file by its path, or its bytes.
Clip = str | Path | bytes
Item = TypeVar("Item", str, Clip)
Floats = npt.NDArray[np.floating[Any]]


class SignClipError(Exception):
    """The service refused a request, or could not be reached.

    Attributes:
        status: HTTP status; None when there was no answer.
        problem: the answer's problem details (RFC 9457): title, code, detail, request_id, errors.
    """

    def __init__(self, message: str, *, status: int | None = None, problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem or {}


@dataclass(frozen=True)
class Similarity:
    """Scores of every row (clip) against every column (text); NaN for items that on_error="skip" left out.

    Attributes:
        cosine, dot: float (rows, columns).
        probabilities: softmax of dot over the texts; None when only one kind was compared.
        warnings: what the service remarked, such as words that the model does not know.
        trimmed: of each clip, the first frame that was compared and the frame after the last one; empty: whole clips.
    """

    cosine: Floats
    dot: Floats
    probabilities: Floats | None
    model_name: str
    warnings: tuple[str, ...] = ()
    trimmed: tuple[tuple[int, int] | None, ...] = ()


class SignClip:
    """Embeds texts, poses and videos.

        clip = SignClip("http://localhost:3030")
        texts = clip.embed_text(["house", "tree"], sign_language="ase")    # (2, dimensions)
        poses = clip.embed_pose(["house.pose"])                            # (1, dimensions)
        print(poses @ texts.T)                                             # cosine similarities

    Requests that are refused because the server is busy (429) or not there yet (503 with Retry-After) are sent again.

    Args:
        url: where the service is; http:// if it does not say.
        model: a name of GET /api/models; None takes the server's default.
        api_key: when the server asks for one.
        timeout_s: for one answer; videos take longer.
        tries: how often a request is sent at most.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        model: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 300.0,
        tries: int = 5,
    ) -> None:
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        self._named = {} if model is None else {"model_name": model}
        self.timeout_s = timeout_s
        self.tries = tries
        self.session = requests.Session()
        if api_key is not None:
            self.session.headers["Authorization"] = f"Bearer {api_key}"

    def embed_text(self, texts: str | Sequence[str], **options: Any) -> Floats:
        """Embed one text or several: float32 (texts, dimensions), of unit length.

        Args:
            options: keys of POST /api/embed/text, such as sign_language="ase" or normalize=False.
        Raises:
            SignClipError
        """
        return self._embed("text", _listed(texts), options)

    def embed_pose(self, poses: Clip | Sequence[Clip], **options: Any) -> Floats:
        """Embed .pose files, given as paths or bytes, as embed_text does; options are keys of POST /api/embed/pose."""
        return self._embed("pose", [_base64(pose) for pose in _listed(poses)], options)

    def embed_video(self, videos: Clip | Sequence[Clip], **options: Any) -> Floats:
        """Embed videos as embed_pose does. Their poses are estimated first, at some 30 frames a second and core."""
        return self._embed("video", [_base64(video) for video in _listed(videos)], options)

    def similarity(
        self,
        *,
        texts: str | Sequence[str] = (),
        poses: Clip | Sequence[Clip] = (),
        videos: Clip | Sequence[Clip] = (),
        **options: Any,
    ) -> Similarity:
        """Compare clips with texts; or clips, or texts, with each other when there is only one kind.

        Rows are the poses, then the videos.
        """
        body: dict[str, Any] = {}
        if texts:
            body["text"] = _listed(texts)
        if poses:
            body["pose"] = [_base64(pose) for pose in _listed(poses)]
        if videos:
            body["video"] = [_base64(video) for video in _listed(videos)]
        answer = self.ask("/api/similarity", self._named | body | options)
        empty = [np.nan] * len(answer.get("columns", ()))
        found = {key: [row or empty for row in answer[key]] for key in MATRICES if key in answer}
        return Similarity(
            cosine=np.array(found["cosine"], float),
            dot=np.array(found["dot"], float),
            probabilities=np.array(found["probabilities"], float) if "probabilities" in found else None,
            model_name=answer["model_name"],
            warnings=tuple(answer.get("warnings", ())),
            trimmed=tuple(span and (span[0], span[1]) for span in answer.get("trimmed", ())),
        )

    def _embed(self, kind: str, items: list[str], options: dict[str, Any]) -> Floats:
        # Base64 is a third of the size of decimal digits, and exact.
        body = {**self._named, **options, kind: items, "encoding_format": "base64"}
        answer = self.ask(f"/api/embed/{kind}", body)
        missing = np.full(answer["dimensions"], np.nan, "<f4")  # on_error="skip"
        rows = [missing if row is None else np.frombuffer(base64.b64decode(row), "<f4") for row in answer["embeddings"]]
        return np.stack(rows)

    def ask(self, path: str, body: dict[str, Any], *, method: str = "POST") -> dict[str, Any]:
        """Ask any route with a JSON object, and give the JSON answer; /docs describes all of them."""
        for left in reversed(range(self.tries)):
            try:
                answer = self.session.request(method, self.url + path, json=body, timeout=self.timeout_s)
            except requests.RequestException as error:
                raise SignClipError(f"no answer from {self.url} ({type(error).__name__})") from error
            wait_s = _wait_s(answer)
            if wait_s is None or not left:
                break
            time.sleep(wait_s)
        if answer.ok:
            content: dict[str, Any] = answer.json()
            return content
        raise _refusal(answer)


def find_sign(client: SignClip, clips: Sequence[Path], query: Clip, *, collection: str = "example") -> Any:
    """Search by signing: store clips under their names, and find those that are nearest to another clip."""
    client.ask(f"/api/collections/{collection}", {}, method="PUT")
    entries = [{"id": clip.name, "pose": _base64(clip)} for clip in clips]
    client.ask(f"/api/collections/{collection}/entries", {"entries": entries})
    return client.ask(f"/api/collections/{collection}/search", {"pose": _base64(query), "k": 3})["hits"]


def teach(client: SignClip, lessons: dict[str, Sequence[Path]], query: Clip, *, collection: str = "taught") -> Any:
    """Teach signs by a few clips of each, and ask which of them another clip is: label, probability, rejected."""
    client.ask(f"/api/collections/{collection}", {}, method="PUT")
    # Without ids, because clips of two signs may have the same name.
    entries = [{"gloss": sign, "pose": _base64(clip)} for sign, own in lessons.items() for clip in own]
    client.ask(f"/api/collections/{collection}/entries", {"entries": entries})
    return client.ask("/api/classify", {"collection": collection, "pose": _base64(query)})["results"][0]


def _wait_s(answer: requests.Response) -> float | None:
    """Seconds to wait before sending a request again; None when that would not help."""
    if answer.status_code not in (429, 503) or "Retry-After" not in answer.headers:
        return None
    try:
        asked = float(answer.headers["Retry-After"])
    except ValueError:  # a date, which proxies may send
        asked = 1.0
    # Clients that were refused together should not come back together.
    return min(max(asked, 0.0), LONGEST_WAIT_S) * random.uniform(1.0, 1.5)


def _refusal(answer: requests.Response) -> SignClipError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict) or "detail" not in problem:  # a proxy's page
        return SignClipError(f"{answer.status_code} {answer.reason}", status=answer.status_code)
    lines = [f"{answer.status_code} {problem.get('title')} ({problem.get('code')}): {problem['detail']}"]
    lines += [f"  {place['pointer']}: {place['message']}" for place in problem.get("errors", [])]
    lines.append(f"  request id: {problem.get('request_id')}")
    return SignClipError("\n".join(lines), status=answer.status_code, problem=problem)


def _listed(items: Item | Sequence[Item]) -> list[Item]:
    """One item or several, as several: a text is no list of its letters."""
    return [items] if isinstance(items, str | bytes | Path) else list(items)


def _base64(clip: Clip) -> str:
    data = clip if isinstance(clip, bytes) else Path(clip).read_bytes()
    return base64.b64encode(data).decode("ascii")


def _name(path: Path) -> str:
    """A file's name without its suffixes."""
    return Path(path.stem).stem if path.suffix.lower() in (".gz", ".zst") else path.stem


def _print_matrix(title: str, rows: Sequence[str], columns: Sequence[str], scores: Floats) -> None:
    width = max(10, *(len(name) + 2 for name in columns))
    margin = max(len(name) for name in rows) + 2
    print(f"\n{title}")
    print(" " * margin + "".join(f"{name:>{width}}" for name in columns))
    for name, row in zip(rows, scores, strict=True):
        print(f"{name:<{margin}}" + "".join(f"{score:>{width}.4f}" for score in row))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Embed texts, poses and videos, and print how similar they are.",
        epilog="Without texts, a few examples are taken; without clips, the texts are compared with each other.",
    )
    files = "a .pose file, which may be packed (.gz, .zst); anything else is a video"
    parser.add_argument("clips", nargs="*", type=Path, metavar="FILE", help=files)
    parser.add_argument("--url", default=DEFAULT_URL, help=f"where the service is (default: {DEFAULT_URL})")
    parser.add_argument("--text", action="append", dest="texts", help="a text; may be given several times")
    parser.add_argument("--model", help="a name of GET /api/models (default: the server's own)")
    parser.add_argument("--sign-language", help='builds prompts, e.g. "ase" or "German Sign Language"')
    parser.add_argument("--flip", choices=["never", "auto", "always"], help="mirror the clips")
    parser.add_argument("--trim", choices=["none", "auto"], help="cut clips to the signing (default: the model's own)")
    parser.add_argument("--truncate", action="store_true", help="cut what is too long for the model")
    parser.add_argument("--allow-no-hands", action="store_true", help="take clips without a hand, which are refused")
    parser.add_argument("--api-key")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the similarities of texts and clips; 1 when the service refuses or is not there."""
    wanted = _parse(arguments)
    texts = wanted.texts or (EXAMPLE_WORDS if wanted.sign_language else EXAMPLE_TEXTS)
    names = ("sign_language", "flip", "trim", "truncate", "allow_no_hands")
    options = {name: getattr(wanted, name) for name in names if getattr(wanted, name)}
    poses = [path for path in wanted.clips if path.name.lower().endswith(POSE_SUFFIXES)]
    videos = [path for path in wanted.clips if path not in poses]
    client = SignClip(wanted.url, model=wanted.model, api_key=wanted.api_key)
    try:
        scores = client.similarity(texts=texts, poses=poses, videos=videos, **options)
    except OSError as error:
        print(f"error: {error.filename} cannot be read: {error.strerror}", file=sys.stderr)
        return 1
    except SignClipError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.status is None:
            print("Is the service running? `make serve` starts it; --url says where it is.", file=sys.stderr)
        return 1
    rows = [_name(path) for path in (*poses, *videos)] or texts
    for warning in scores.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for row, (start, end) in zip(rows, filter(None, scores.trimmed), strict=False):
        print(f"{row}: frames {start} to {end - 1} were compared")
    print(f"model: {scores.model_name}")
    _print_matrix("cosine similarity", rows, texts, scores.cosine)
    _print_matrix("dot product", rows, texts, scores.dot)
    if scores.probabilities is not None:
        _print_matrix("probability of each text", rows, texts, scores.probabilities)
    return 0


if __name__ == "__main__":
    sys.exit(main())
